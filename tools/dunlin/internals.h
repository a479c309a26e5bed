// For the commands that look inside: the runtime's errors as failures. Not to be included together with dunlin.hpp,
// whose classes have the same names as the runtime's.
#pragma once

#include "runtime/status.h"
#include "tools/dunlin/exit_status.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

inline Failure failureOf(const Status& status) {
    return {exitStatusOf(static_cast<DunlinStatus>(status.code())), status.message()};
}

// The value, or the failure that the error is.
template <typename T>
Outcome<T> outcomeOf(Result<T> result) {
    if (!result.ok()) return failureOf(result.status());
    return *std::move(result);
}

}  // namespace dunlin::cli
