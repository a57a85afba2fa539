# Fits a Gaussian mixture with mclust from given parameters and tells how long that took.
#
#   Rscript mclust.R rows n d K covariance n_iter start result
#
# The files are raw doubles, see exchange.py.
suppressPackageStartupMessages(library(mclust))

argument <- commandArgs(trailingOnly = TRUE)
n <- as.integer(argument[2])
d <- as.integer(argument[3])
K <- as.integer(argument[4])
X <- matrix(readBin(argument[1], "double", n * d), n, d, byrow = TRUE)
start <- readBin(argument[7], "double", K + K * d + K * d * d)
weights <- start[1:K]
means <- matrix(start[K + 1:(K * d)], d, K)
covariances <- array(start[K + K * d + 1:(K * d * d)], c(d, d, K))
variances <- matrix(apply(covariances, 3, diag), d, K)

model <- if (d == 1) {
  if (argument[5] == "tied") "E" else "V"
} else {
  c(full = "VVV", tied = "EEE", diag = "VVI", spherical = "VII")[[argument[5]]]
}
pooled <- apply(covariances, 1:2, mean)
variance <- switch(model,
  E = list(sigmasq = mean(variances)),
  V = list(sigmasq = variances[1, ]),
  VII = list(sigmasq = colMeans(variances)),
  VVI = {
    scale <- exp(colMeans(log(variances)))
    list(scale = scale, shape = sweep(variances, 2, scale, "/"))
  },
  EEE = list(Sigma = pooled, cholSigma = chol(pooled)),
  VVV = list(sigma = covariances, cholsigma = array(apply(covariances, 3, chol), dim(covariances)))
)
variance <- c(list(modelName = model, d = d, G = K), variance)
parameters <- list(pro = weights, mean = if (d == 1) means[1, ] else means, variance = variance)
data <- if (d == 1) X[, 1] else X
control <- emControl(tol = c(0, 0), itmax = as.integer(argument[6]))

began <- Sys.time()
fit <- em(data, modelName = model, parameters = parameters, control = control, warn = FALSE)
seconds <- as.numeric(difftime(Sys.time(), began, units = "secs"))

found <- fit$parameters
sigma <- if (d == 1) rep_len(found$variance$sigmasq, K) else found$variance$sigma
if (anyNA(found$mean) || anyNA(sigma)) stop("the fit failed")
peak <- 0
if (file.exists("/proc/self/status")) {
  line <- grep("^VmHWM:", readLines("/proc/self/status"), value = TRUE)
  peak <- as.numeric(gsub("[^0-9]", "", line)) / 1024
}
writeBin(c(seconds, peak, found$pro, c(found$mean), c(sigma)), argument[8])
