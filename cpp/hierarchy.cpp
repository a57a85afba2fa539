#include "hierarchy.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "small_linalg.hpp"
#include "team.hpp"

namespace mixtura {
namespace {

using Numbers = std::vector<double>;

constexpr double infinity = std::numeric_limits<double>::infinity();

// Pivots that are multiplied before a logarithm is taken: few enough that products stay in range.
constexpr Index pivots_per_log = 4;

// The groups that are left: weight, mean and scatter of each, and what it adds to the criterion.
class Groups {
  public:
    Groups(const double* rows, const double* weights, Index n, Index d, double softness)
        : d_(d), packed_(d * (d + 1) / 2), softness_(softness), weight_(n, 1.0),
          mean_(rows, rows + n * d), scatter_(n * packed_, 0.0), term_(n), single_(n, 1),
          work_(packed_), shift_(d), inverse_(d) {
        if (weights) std::copy_n(weights, n, weight_.data());
        for (Index i = 0; i < n; ++i) {
            for (Index a = 0; a < d; ++a) scatter(i)[a * (a + 1) / 2 + a] = softness;
            term_[i] = weight_[i] * double(d) * std::log(softness / weight_[i]);
        }
    }

    // By how much the criterion would rise if the two became one.
    double cost(Index i, Index j) {
        const double sum = weight_[i] + weight_[j];
        const double together = weight_[i] / sum * weight_[j];
        const double log_det = with_dimension(d_, [&](auto d) {
            for (Index a = 0; a < d; ++a) shift_[a] = mean(i)[a] - mean(j)[a];
            return single_[i] && single_[j] ? log_det_of_two(sum, together)
                                            : log_det_of_joined(d, i, j, sum, together);
        });
        return sum * log_det - term_[i] - term_[j];
    }

    void join(Index i, Index j, double cost) {
        const double sum = weight_[i] + weight_[j];
        const double together = weight_[i] / sum * weight_[j];
        for (Index a = 0; a < d_; ++a) shift_[a] = mean(i)[a] - mean(j)[a];
        add_scatters(d_, i, j, together, scatter(i));
        for (Index a = 0; a < d_; ++a) mean(i)[a] -= weight_[j] / sum * shift_[a];
        weight_[i] = sum;
        term_[i] += term_[j] + cost;
        single_[i] = 0;
    }

  private:
    double* mean(Index i) { return mean_.data() + i * d_; }
    double* scatter(Index i) { return scatter_.data() + i * packed_; }

    // (softness I + together shift shift') / sum
    double log_det_of_two(double sum, double together) {
        double squares = 0;
        for (Index a = 0; a < d_; ++a) squares += shift_[a] * shift_[a];
        if (sum != last_sum_) {  // mostly that of two equal weights
            last_sum_ = sum;
            log_softness_ = double(d_) * std::log(softness_ / sum);
        }
        return log_softness_ + std::log(1 + together * squares / softness_);
    }

    // Scatter about the joint mean, lower triangle by rows; the pseudo-scatter is there once.
    template <class Dimension>
    void add_scatters(Dimension d, Index i, Index j, double together, double* out) {
        const double *one = scatter(i), *other = scatter(j);
        for (Index a = 0, at = 0; a < d; ++a) {
            const double from = together * shift_[a];
            for (Index b = 0; b <= a; ++b, ++at) out[at] = one[at] + other[at] + from * shift_[b];
            out[at - 1] -= softness_;
        }
    }

    // Of the joint scatter over its weight, by the decomposition L D L', row by row; row[b] holds
    // L[a][b] D[b] until it is divided.
    template <class Dimension>
    double log_det_of_joined(Dimension d, Index i, Index j, double sum_of_weights, double together) {
        double* row = work_.data();
        add_scatters(d, i, j, together, row);
        const double scale = 1 / sum_of_weights;
        double result = 0, product = 1;
        for (Index a = 0; a < d; row += ++a) {
            const double* above = work_.data();
            double pivot = row[a];
            for (Index b = 0; b < a; above += ++b) {
                double sum = row[b];
                for (Index c = 0; c < b; ++c) sum -= row[c] * above[c];
                row[b] = sum;
            }
            for (Index b = 0; b < a; ++b) {
                const double product_of_two = row[b];
                row[b] *= inverse_[b];
                pivot -= row[b] * product_of_two;
            }
            pivot = std::max(pivot, softness_);  // it is at least that, but for rounding
            product *= pivot * scale;
            if (a + 1 < d) inverse_[a] = 1 / pivot;
            if ((a + 1) % pivots_per_log == 0 || a + 1 == d) {
                result += std::log(product);
                product = 1;
            }
        }
        return result;
    }

    Index d_, packed_;
    double softness_, last_sum_ = 0, log_softness_ = 0;
    Numbers weight_, mean_, scatter_, term_;
    std::vector<char> single_;
    Numbers work_, shift_, inverse_;
};

// Costs of all pairs of groups that are left, and each one's cheapest partner among later ones.
class Agglomeration {
  public:
    Agglomeration(Groups& groups, Index n)
        : groups_(groups), n_(n), cost_(n * (n - 1) / 2), nearest_(n), least_(n, infinity) {
        for (Index i = 0; i < n; ++i) left_.push_back(i);
    }

    void fill(Index i) {
        for (Index j = i + 1; j < n_; ++j) cost(i, j) = groups_.cost(i, j);
        find_nearest(i);
    }

    // Makes the cheapest merge and returns it.
    std::pair<Index, Index> merge() {
        Index i = left_.front();
        for (Index k : left_) {
            if (least_[k] < least_[i]) i = k;
        }
        const Index j = nearest_[i];
        groups_.join(i, j, least_[i]);
        left_.erase(std::lower_bound(left_.begin(), left_.end(), j));
        least_[j] = infinity;
        for (Index k : left_) {
            if (k != i) cost(std::min(i, k), std::max(i, k)) = groups_.cost(std::min(i, k), std::max(i, k));
        }
        for (Index k : left_) {
            if (k == i || (k < j && (nearest_[k] == i || nearest_[k] == j))) {
                find_nearest(k);
            } else if (k < i) {
                const double now = cost(k, i);
                if (now < least_[k] || (now == least_[k] && i < nearest_[k])) {
                    least_[k] = now;
                    nearest_[k] = i;
                }
            }
        }
        return {i, j};
    }

  private:
    double& cost(Index i, Index j) { return cost_[i * (2 * n_ - i - 1) / 2 + (j - i - 1)]; }

    void find_nearest(Index i) {
        least_[i] = infinity;
        for (auto at = std::upper_bound(left_.begin(), left_.end(), i); at != left_.end(); ++at) {
            const double now = cost(i, *at);
            if (now < least_[i]) {
                least_[i] = now;
                nearest_[i] = *at;
            }
        }
    }

    Groups& groups_;
    Index n_;
    Numbers cost_;
    std::vector<Index> nearest_, left_;
    Numbers least_;
};

}  // namespace

void hierarchy(const double* rows, const double* weights, Index n_rows, Index n_features,
               double softness, const Execution& how, std::int32_t* merges) {
    if (n_rows < 2) return;
    Groups groups(rows, weights, n_rows, n_features, softness);
    Agglomeration agglomeration(groups, n_rows);
    Team team(how, 1);  // each merge needs the one before
    team.run([&](Watch* watch) {
        for (Index i = 0; i < n_rows; ++i) {
            if (team.stopped(watch)) return;
            agglomeration.fill(i);
        }
        for (Index step = 0; step + 1 < n_rows; ++step) {
            if (team.stopped(watch)) return;
            const auto [i, j] = agglomeration.merge();
            merges[2 * step] = static_cast<std::int32_t>(i);
            merges[2 * step + 1] = static_cast<std::int32_t>(j);
        }
    });
}

}  // namespace mixtura
