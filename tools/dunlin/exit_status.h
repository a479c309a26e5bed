// Which exit status an error of the library has.
#pragma once

#include "dunlin/dunlin.h"
#include "tools/dunlin/outcome.h"

namespace dunlin::cli {

// By the kind of the error. The runtime's own StatusCode has the same numbers as DunlinStatus.
ExitStatus exitStatusOf(DunlinStatus status);

}  // namespace dunlin::cli
