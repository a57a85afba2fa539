// Threads that work together for one call, and are joined before it returns.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <functional>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

#include "kernel.hpp"

namespace mixtura {

// Rough seconds of a pass, for the choice of threads only.
inline double estimated_seconds(const Shape& shape, Index n_rows) {
    double d = double(shape.n_features), k = double(shape.n_components);
    double per_component = shape.geometry == Geometry::dense ? d * (d + 1) : 6 * d;
    double shared = shape.geometry == Geometry::tied ? 2 * d * d : 2 * d;
    return double(n_rows) * (k * (per_component + 20) + shared) / 2e10;
}

// Threads for jobs that take so long in all: starting one costs tens of microseconds, and more when
// the processors are busy.
inline int useful_threads(int n_threads, Index n_jobs, double seconds) {
    const double most = std::min(double(std::min<Index>(n_threads, n_jobs)), seconds / 100e-6);
    return std::max(1, static_cast<int>(most));
}

// Asks the caller now and then whether to go on.
class Watch {
  public:
    using Clock = std::chrono::steady_clock;

    explicit Watch(const Execution& how) : how_(how), next_(Clock::now() + interval) {}
    bool says_stop() {
        if (!how_.interrupted || Clock::now() < next_) return false;
        next_ = Clock::now() + interval;
        return how_.interrupted(how_.context);
    }

  private:
    static constexpr std::chrono::milliseconds interval{50};
    const Execution& how_;
    Clock::time_point next_;
};

// Runs `work(watch or null)` on every thread; `work` returns when there is nothing left to do.
class Team {
  public:
    Team(const Execution& how, int n_threads) : how_(how), n_threads_(n_threads) {}

    void run(const std::function<void(Watch*)>& work) {
        std::vector<std::thread> helpers;
        try {
            for (int i = 1; i < n_threads_; ++i) helpers.emplace_back([&] { guarded(work, nullptr); });
        } catch (const std::system_error&) {
            // The system gives no more threads: those that started share the work.
        }
        Watch watch(how_);
        guarded(work, &watch);
        for (std::thread& helper : helpers) helper.join();
        if (error_) std::rethrow_exception(error_);
    }

    // True when the thread should give up: interrupted, or another thread failed.
    bool stopped(Watch* watch) {
        if (watch && watch->says_stop()) fail(std::make_exception_ptr(Interrupted{}));
        return stop_.load(std::memory_order_relaxed);
    }

  private:
    void guarded(const std::function<void(Watch*)>& work, Watch* watch) {
        try {
            work(watch);
        } catch (...) {
            fail(std::current_exception());
        }
    }
    void fail(std::exception_ptr error) {
        std::lock_guard<std::mutex> hold(mutex_);
        if (!error_) error_ = error;
        stop_.store(true);
    }

    const Execution& how_;
    int n_threads_;
    std::atomic<bool> stop_{false};
    std::mutex mutex_;
    std::exception_ptr error_;
};

}  // namespace mixtura
