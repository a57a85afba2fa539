// Fits a Gaussian mixture with Armadillo from given parameters and tells how long that took.
//
//   armadillo                                          prints the version
//   armadillo rows n d K covariance n_iter start result
//
// The files are raw doubles, see exchange.py.
#include <armadillo>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <stdexcept>
#include <string>

namespace {

using arma::uword;

arma::vec read(const std::string& path, uword count) {
    arma::vec numbers(count);
    std::ifstream file(path, std::ios::binary);
    file.read(reinterpret_cast<char*>(numbers.memptr()), std::streamsize(count * sizeof(double)));
    if (!file) throw std::runtime_error("cannot read " + path);
    return numbers;
}

void write(std::ofstream& file, const double* numbers, uword count) {
    file.write(reinterpret_cast<const char*>(numbers), std::streamsize(count * sizeof(double)));
}

double peak_memory_mb() {
    std::ifstream status("/proc/self/status");
    for (std::string line; std::getline(status, line);) {
        if (line.rfind("VmHWM:", 0) == 0) return std::stod(line.substr(6)) / 1024.0;
    }
    return 0.0;
}

template <class Model>
double timed(Model& model, const arma::mat& x, uword n_iter) {
    auto began = std::chrono::steady_clock::now();
    bool fitted = model.learn(x, model.n_gaus(), arma::eucl_dist, arma::keep_existing, 0, n_iter,
                              0.0, false);
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - began;
    if (!fitted) throw std::runtime_error("the fit failed");
    return seconds.count();
}

void run(char** argument) {
    uword n = std::stoull(argument[2]), d = std::stoull(argument[3]), k = std::stoull(argument[4]);
    std::string covariance = argument[5];
    uword n_iter = std::stoull(argument[6]);

    arma::vec rows = read(argument[1], n * d);
    const arma::mat x(rows.memptr(), d, n, false, true);  // one column per row of the data
    arma::vec start = read(argument[7], k + k * d + k * d * d);
    arma::rowvec hefts(start.memptr(), k);
    arma::mat means(start.memptr() + k, d, k);
    arma::cube covariances(start.memptr() + k + k * d, d, d, k);

    double seconds = 0.0;
    if (covariance == "full") {
        arma::gmm_full model(d, k);
        model.set_params(means, covariances, hefts);
        seconds = timed(model, x, n_iter);
        hefts = model.hefts, means = model.means, covariances = model.fcovs;
    } else {
        arma::mat variances(d, k);
        for (uword g = 0; g < k; ++g) variances.col(g) = covariances.slice(g).diag();
        arma::gmm_diag model(d, k);
        model.set_params(means, variances, hefts);
        seconds = timed(model, x, n_iter);
        hefts = model.hefts, means = model.means;
        for (uword g = 0; g < k; ++g) covariances.slice(g) = arma::diagmat(model.dcovs.col(g));
    }

    std::ofstream result(argument[8], std::ios::binary);
    double facts[] = {seconds, peak_memory_mb()};
    write(result, facts, 2);
    write(result, hefts.memptr(), hefts.n_elem);
    write(result, means.memptr(), means.n_elem);
    write(result, covariances.memptr(), covariances.n_elem);
}

}  // namespace

int main(int count, char** argument) {
    if (count == 1) {
        std::printf("%d.%d.%d\n", ARMA_VERSION_MAJOR, ARMA_VERSION_MINOR, ARMA_VERSION_PATCH);
        return 0;
    }
    try {
        run(argument);
    } catch (const std::exception& problem) {
        std::cerr << problem.what() << '\n';
        return 1;
    }
}
