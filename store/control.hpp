// Promises that a build can break on purpose, so that the tests which should find it can be tested.
// Every one is kept unless its macro is defined; the program that is installed defines none.
#pragma once

namespace raincheck::store::control {

#ifdef RAINCHECK_CONTROL_SYNC_OFF
constexpr bool sync = false;
#else
constexpr bool sync = true;            // what was acknowledged is on stable storage
#endif

#ifdef RAINCHECK_CONTROL_NO_FENCE
constexpr bool fence = false;
#else
constexpr bool fence = true;           // only the present attempt of a running job can end it
#endif

#ifdef RAINCHECK_CONTROL_NO_ATTEMPT_RECORD
constexpr bool attempt_record = false;
#else
constexpr bool attempt_record = true;  // an attempt that began is known after a crash
#endif

#ifdef RAINCHECK_CONTROL_EARLY_202
constexpr bool commit_first = false;
#else
constexpr bool commit_first = true;    // a batch is answered after its commit, not one batch early
#endif

}  // namespace raincheck::store::control
