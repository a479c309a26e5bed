#include "runtime/cpu/threads.h"

#include <algorithm>

#include "runtime/processors.h"

namespace dunlin {

Result<int> resolveThreads(int threads) {
    if (threads < 0 || threads > kMaxThreads)
        return error(StatusCode::InvalidArgument, "%d threads were asked for, but the number must lie in 0..%d",
                     threads, kMaxThreads);
    const int processors = defaultThreadCount();
    return threads == 0 ? processors : std::min(threads, processors);
}

int defaultThreadCount() {
    return std::min(usableProcessors(), kMaxThreads);
}

}  // namespace dunlin
