#include "tools/dunlin/exit_status.h"

namespace dunlin::cli {

ExitStatus exitStatusOf(DunlinStatus status) {
    switch (status) {
        case DUNLIN_SUCCESS:
            return ExitStatus::Done;
        case DUNLIN_ERROR_INVALID_ARGUMENT:
        case DUNLIN_ERROR_UNKNOWN_NAME:
        case DUNLIN_ERROR_UNSUPPORTED:
        case DUNLIN_ERROR_DOES_NOT_FIT:
            return ExitStatus::WrongUse;
        case DUNLIN_ERROR_BAD_FILE:
            return ExitStatus::BadInput;
        default:  // memory, the device, the driver, cancellation, and whatever a newer library adds
            return ExitStatus::DeviceFailed;
    }
}

}  // namespace dunlin::cli
