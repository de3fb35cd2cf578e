#include "tasks.h"

#include <stdatomic.h>

#define OPEN 0x80000000u
/* As `thread-count.ts` has it. */
#define MOST_THREADS 256

/*
 * One thread leads, and posts jobs; helpers join a job that is open. The leader closes a job when no task is left and waits
 * for those that joined it; so a helper that is late, or that the system does not run, holds nothing up.
 */
static struct {
  Task task;
  const void *arguments;
  uint32_t count;
  atomic_uint next;
  /* OPEN, and how many helpers have joined. */
  atomic_uint joined;
  /* Counts jobs: helpers wait for it to change. */
  atomic_uint number;
  atomic_uint asleep;
  atomic_uint leader_asleep;
  atomic_uint stopping;
  /* Whether a task of this job has trapped. */
  atomic_uint failed;
  uint32_t helpers;
  bool leader_sleeps;
} job;

/* By thread, whether it has joined the job. */
static uint8_t has_joined[MOST_THREADS];

/* Turns in which a helper looks for a job before it sleeps: some tens of microseconds, longer than most gaps between jobs. */
#define PATIENCE 20000

static void wait_while(atomic_uint *word, uint32_t value) {
  __builtin_wasm_memory_atomic_wait32((int *)word, (int)value, -1);
}

static void wake(atomic_uint *word) { __builtin_wasm_memory_atomic_notify((int *)word, 0xffffffff); }

static void take_tasks(uint32_t thread) {
  Task task = job.task;
  const void *arguments = job.arguments;
  uint32_t count = job.count;
  for (;;) {
    uint32_t number = atomic_fetch_add(&job.next, 1);
    if (number >= count) return;
    task(arguments, number, thread);
  }
}

/* From now on none may join; waits for those that have. */
static void close_job(void) {
  uint32_t joined = atomic_fetch_and(&job.joined, ~OPEN) & ~OPEN;
  for (uint32_t turn = 0; joined > 0; turn++) {
    if (turn > PATIENCE && job.leader_sleeps) {
      atomic_store(&job.leader_asleep, 1);
      wait_while(&job.joined, joined);
      atomic_store(&job.leader_asleep, 0);
    }
    joined = atomic_load(&job.joined);
  }
}

static void leave_job(uint32_t thread) {
  has_joined[thread] = 0;
  atomic_fetch_sub(&job.joined, 1);
  if (atomic_load(&job.leader_asleep)) wake(&job.joined);
}

void run_tasks(Task task, const void *arguments, uint32_t count) {
  if (job.helpers == 0 || count < 2) {
    for (uint32_t i = 0; i < count; i++) task(arguments, i, 0);
    return;
  }
  job.task = task;
  job.arguments = arguments;
  job.count = count;
  atomic_store(&job.next, 0);
  atomic_store(&job.failed, 0);
  atomic_store(&job.joined, OPEN);
  atomic_fetch_add(&job.number, 1);
  if (atomic_load(&job.asleep) > 0) wake(&job.number);
  take_tasks(0);
  close_job();
  if (atomic_load(&job.failed)) __builtin_trap();
}

uint32_t thread_count(void) { return job.helpers + 1; }

/* Helpers that will run `help`, and whether the leader's thread may sleep while it waits for them. */
EXPORT(expect_helpers) void expect_helpers(uint32_t helpers, bool leader_sleeps) {
  job.helpers = helpers;
  job.leader_sleeps = leader_sleeps;
}

/* What a helper's thread runs, and returns from when it is told to stop. */
EXPORT(help) void help(uint32_t thread) {
  uint32_t seen = 0;
  while (!atomic_load(&job.stopping)) {
    uint32_t number = atomic_load(&job.number);
    for (uint32_t turn = 0; number == seen && turn < PATIENCE; turn++) number = atomic_load(&job.number);
    if (number == seen) {
      atomic_fetch_add(&job.asleep, 1);
      wait_while(&job.number, seen);
      atomic_fetch_sub(&job.asleep, 1);
      continue;
    }
    seen = number;
    uint32_t joined = atomic_load(&job.joined);
    bool in = false;
    while ((joined & OPEN) && !in) in = atomic_compare_exchange_weak(&job.joined, &joined, joined + 1);
    if (!in) continue;
    has_joined[thread] = 1;
    take_tasks(thread);
    leave_job(thread);
  }
}

/* A helper's thread calls this where `help` has trapped, and then `help` again: no task is begun any more, and the leader traps too. */
EXPORT(fail_job) void fail_job(uint32_t thread) {
  if (!has_joined[thread]) return;
  atomic_store(&job.failed, 1);
  atomic_store(&job.next, job.count);
  leave_job(thread);
}

/* The leader's thread calls this where a kernel has trapped: helpers may still be at work on what lies in its frames. */
EXPORT(end_job) void end_job(void) {
  atomic_store(&job.next, job.count);
  close_job();
}

EXPORT(stop_helpers) void stop_helpers(void) {
  atomic_store(&job.stopping, 1);
  atomic_fetch_add(&job.number, 1);
  wake(&job.number);
}
