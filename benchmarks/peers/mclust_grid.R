# Times mclust's whole table of 14 models x 9 numbers of components, and prints as JSON the least
# seconds and the log-likelihoods (rows: components, columns: models).
#
#   Rscript mclust_grid.R data.csv rounds
suppressPackageStartupMessages(library(mclust))

argument <- commandArgs(trailingOnly = TRUE)
X <- read.csv(argument[1])
X <- as.matrix(X[, sapply(X, is.numeric)])
table <- mclustBIC(X, G = 1:9, verbose = FALSE)  # loads code
seconds <- sapply(seq_len(as.integer(argument[2])), function(i) {
  began <- Sys.time()
  mclustBIC(X, G = 1:9, verbose = FALSE)
  as.numeric(difftime(Sys.time(), began, units = "secs"))
})
value <- function(x) if (is.na(x)) "null" else format(x, digits = 15)
columns <- sapply(colnames(table), function(model) {
  paste0('"', model, '": [', paste(sapply(table[, model], value), collapse = ", "), "]")
})
cat('{"seconds": ', min(seconds), ', "bic": {', paste(columns, collapse = ", "), "}}\n", sep = "")
