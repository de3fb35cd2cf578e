/* Work that several threads share: tasks that may run in any order, and do not depend on who runs them. */
#ifndef TASKS_H
#define TASKS_H

#include "simd.h"

/* Run by any thread: number `task` of `arguments`; `thread` says whose work memory it may use. */
typedef void (*Task)(const void *arguments, uint32_t task, uint32_t thread);

/* Returns when all tasks have run. Threads take the next task each, so that none waits long for another. */
void run_tasks(Task task, const void *arguments, uint32_t count);

/* Threads that there are, this one too. */
uint32_t thread_count(void);

/* Rounds up: parts that `each` makes of `count`. */
INLINE uint32_t parts_of(uint32_t count, uint32_t each) { return (count + each - 1) / each; }
INLINE uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }
INLINE uint32_t most(uint32_t a, uint32_t b) { return a > b ? a : b; }

#endif
