#include "partition.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "random.hpp"
#include "team.hpp"

namespace mixtura {
namespace {

using Numbers = std::vector<double>;

constexpr int lloyd_rounds = 20;
constexpr double infinity = std::numeric_limits<double>::infinity();

// Rows that are looked at together: their distances stay in the first-level cache.
constexpr Index stripe_rows = 512;

// The rows with weight, feature by feature, and where they came from.
struct Cloud {
    Index n = 0, d;
    Numbers x, w;
    std::vector<Index> place;

    Cloud(const double* rows, const double* weights, const std::vector<Index>& chosen,
          Index n_features)
        : d(n_features) {
        for (Index i : chosen) {
            if (weights && !(weights[i] > 0)) continue;
            place.push_back(i);
            w.push_back(weights ? weights[i] : 1.0);
        }
        n = static_cast<Index>(place.size());
        x.resize(static_cast<std::size_t>(n * d));
        for (Index i = 0; i < n; ++i) {
            for (Index j = 0; j < d; ++j) x[j * n + i] = rows[place[i] * d + j];
        }
    }

    // Squared distances of rows first .. first+count-1 to a point.
    void distances(const double* point, Index first, Index count, double* out) const {
        std::fill(out, out + count, 0.0);
        for (Index j = 0; j < d; ++j) {
            const double* from = x.data() + j * n + first;
            const double at = point[j];
            for (Index i = 0; i < count; ++i) out[i] += (from[i] - at) * (from[i] - at);
        }
    }
    void copy_row(Index i, double* out) const {
        for (Index j = 0; j < d; ++j) out[j] = x[j * n + i];
    }
};

// Sum of a[i] * b[i] in eight interleaved chains, so that additions need not wait for each other.
double product_sum(const Numbers& a, const Numbers& b) {
    double chain[8] = {};
    const Index n = static_cast<Index>(a.size()), whole = n / 8 * 8;
    for (Index i = 0; i < whole; i += 8) {
        for (int c = 0; c < 8; ++c) chain[c] += a[i + c] * b[i + c];
    }
    for (Index i = whole; i < n; ++i) chain[i - whole] += a[i] * b[i];
    return ((chain[0] + chain[1]) + (chain[2] + chain[3])) +
           ((chain[4] + chain[5]) + (chain[6] + chain[7]));
}

// One thread's arrays, used again for every job.
class Partitioner {
  public:
    explicit Partitioner(const Cloud& cloud)
        : cloud_(cloud), nearest_(cloud.n), trial_(cloud.n), best_(cloud.n), sums_(cloud.n),
          label_(cloud.n), before_(cloud.n), distance_(stripe_rows) {}

    // Label of each row of the cloud, as numbers.
    const Numbers& run(const PartitionJob& job) {
        CounterRandom random(job.key);
        centres_.assign(static_cast<std::size_t>(job.n_groups * cloud_.d), 0.0);
        n_centres_ = 0;
        if (job.method == PartitionMethod::random_rows) {
            take_random_rows(job.n_groups, random);
        } else {
            take_seeds(job.n_groups, random);
        }
        assign();
        for (int i = 1; job.method == PartitionMethod::kmeans && i < lloyd_rounds; ++i) {
            move_centres();
            std::swap(label_, before_);
            assign();
            if (label_ == before_) break;
        }
        return label_;
    }

  private:
    double* centre(Index k) { return centres_.data() + k * cloud_.d; }

    // k-means++ (Arthur and Vassilvitskii 2007): rows with probability proportional to weight
    // times squared distance to the centres so far, each the best of a few candidates.
    void take_seeds(Index n_groups, CounterRandom& random) {
        const int n_candidates = 2 + static_cast<int>(std::log(double(n_groups)));
        cumulate(nullptr);
        add_centre(draw(random));
        cloud_.distances(centre(0), 0, cloud_.n, nearest_.data());
        while (n_centres_ < n_groups) {
            double least = infinity;
            Index chosen = 0;
            cumulate(nearest_.data());
            if (!(sums_.back() > 0)) return;  // there are no more distinct rows
            for (int c = 0; c < n_candidates; ++c) {
                Index row = draw(random);
                cloud_.copy_row(row, centre(n_centres_));
                cloud_.distances(centre(n_centres_), 0, cloud_.n, trial_.data());
                for (Index i = 0; i < cloud_.n; ++i) {
                    trial_[i] = std::min(trial_[i], nearest_[i]);
                }
                double sum = product_sum(trial_, cloud_.w);
                if (sum < least) {
                    least = sum;
                    chosen = row;
                    std::swap(trial_, best_);
                }
            }
            add_centre(chosen);
            std::swap(nearest_, best_);
        }
    }

    // Distinct rows drawn one after the other by weight: those with the smallest exponential times
    // of rate w.
    void take_random_rows(Index n_groups, CounterRandom& random) {
        times_.resize(static_cast<std::size_t>(cloud_.n));
        for (Index i = 0; i < cloud_.n; ++i) {
            times_[i] = {-std::log1p(-random.uniform()) / cloud_.w[i], i};
        }
        auto later = [](const auto& a, const auto& b) { return a > b; };
        std::make_heap(times_.begin(), times_.end(), later);
        for (auto end = times_.end(); end != times_.begin() && n_centres_ < n_groups; --end) {
            std::pop_heap(times_.begin(), end, later);
            add_centre((end - 1)->second);
            for (Index k = 0; k + 1 < n_centres_; ++k) {
                if (!std::equal(centre(k), centre(k + 1), centre(n_centres_ - 1))) continue;
                --n_centres_;
                break;
            }
        }
    }

    void add_centre(Index row) { cloud_.copy_row(row, centre(n_centres_++)); }

    void cumulate(const double* factor) {
        double sum = 0;
        for (Index i = 0; i < cloud_.n; ++i) {
            sum += factor ? cloud_.w[i] * factor[i] : cloud_.w[i];
            sums_[i] = sum;
        }
    }

    // A row with probability proportional to what was cumulated.
    Index draw(CounterRandom& random) {
        double target = random.uniform() * sums_.back();
        Index i = std::upper_bound(sums_.begin(), sums_.end(), target) - sums_.begin();
        return std::min(i, cloud_.n - 1);
    }

    void assign() {
        for (Index first = 0; first < cloud_.n; first += stripe_rows) {
            const Index count = std::min(stripe_rows, cloud_.n - first);
            double *nearest = nearest_.data() + first, *label = label_.data() + first;
            std::fill(nearest, nearest + count, infinity);
            std::fill(label, label + count, 0.0);
            for (Index k = 0; k < n_centres_; ++k) {
                cloud_.distances(centre(k), first, count, distance_.data());
                const double* distance = distance_.data();
                for (Index i = 0; i < count; ++i) {
                    label[i] = distance[i] < nearest[i] ? double(k) : label[i];
                    nearest[i] = std::min(distance[i], nearest[i]);
                }
            }
        }
    }

    // To the mean of its rows; a centre without rows stays.
    void move_centres() {
        const Index d = cloud_.d;
        weights_.assign(static_cast<std::size_t>(n_centres_), 0.0);
        moved_.assign(static_cast<std::size_t>(n_centres_ * d), 0.0);
        for (Index i = 0; i < cloud_.n; ++i) weights_[Index(label_[i])] += cloud_.w[i];
        for (Index j = 0; j < d; ++j) {
            const double* x = cloud_.x.data() + j * cloud_.n;
            for (Index i = 0; i < cloud_.n; ++i) {
                moved_[Index(label_[i]) * d + j] += cloud_.w[i] * x[i];
            }
        }
        for (Index k = 0; k < n_centres_; ++k) {
            if (!(weights_[k] > 0)) continue;
            for (Index j = 0; j < d; ++j) centre(k)[j] = moved_[k * d + j] / weights_[k];
        }
    }

    const Cloud& cloud_;
    Index n_centres_ = 0;
    Numbers centres_, moved_, weights_;
    Numbers nearest_, trial_, best_, sums_, label_, before_, distance_;
    std::vector<std::pair<double, Index>> times_;
};

}  // namespace

void partitions(const double* rows, const double* weights, Index n_rows, Index n_features,
                const PartitionJob* jobs, Index n_jobs, const Execution& how,
                std::int32_t* labels) {
    std::vector<Index> all(static_cast<std::size_t>(n_rows));
    std::iota(all.begin(), all.end(), Index{0});
    const Cloud cloud(rows, weights, all, n_features);
    std::fill(labels, labels + n_jobs * n_rows, -1);
    if (cloud.n == 0) return;
    double distances = 0;
    for (Index j = 0; j < n_jobs; ++j) {
        const int rounds = jobs[j].method == PartitionMethod::random_rows ? 1 : lloyd_rounds;
        distances += double(jobs[j].n_groups) * double(cloud.n) * rounds;
    }
    const double seconds = distances * double(n_features) * 1e-9;
    Team team(how, useful_threads(how.n_threads, n_jobs, seconds));
    std::atomic<Index> next{0};
    team.run([&](Watch* watch) {
        Partitioner partitioner(cloud);
        for (Index j; (j = next.fetch_add(1)) < n_jobs;) {
            if (team.stopped(watch)) return;
            const Numbers& found = partitioner.run(jobs[j]);
            for (Index i = 0; i < cloud.n; ++i) {
                labels[j * n_rows + cloud.place[i]] = static_cast<std::int32_t>(found[i]);
            }
        }
    });
}

std::vector<bool> halves(const double* rows, const double* weights, Index n_features,
                         const std::vector<Index>& chosen, std::uint64_t key) {
    std::vector<bool> second(chosen.size(), false);
    const Cloud cloud(rows, weights, chosen, n_features);
    if (cloud.n < 2) return second;
    Partitioner partitioner(cloud);
    const Numbers& found = partitioner.run({2, PartitionMethod::kmeans, key});
    Index at = 0;  // in the cloud, which holds the chosen rows with weight in their order
    for (std::size_t i = 0; i < chosen.size() && at < cloud.n; ++i) {
        if (chosen[i] == cloud.place[at]) second[i] = found[at++] == 1.0;
    }
    return second;
}

}  // namespace mixtura
