/**
 * A node's advice for its API: owns when forecasts are made, and what is asked of the advisor (`optimizer/advice/`) for each
 * reply.
 *
 * 1. Forecasts are made only when somebody asks, and at most once a second. One stands for a tenth of the time in which the median task
 *    ends by it, or until tasks end far from when it said: but as long as that takes no more than a tenth of the node's time. However near
 *    the ends, a twentieth of the time is always spent, and more where a forecast would be 15 seconds old.
 * 2. A forecast is made in steps of a few milliseconds, each in a turn of its own; who asks waits a moment for it, and is
 *    answered from the one before when that passes, or without any when that was made more than 15 seconds ago.
 * 3. Alarms are looked for in steps as well.
 * 4. For a task that is newer than the last forecast one is made early, within a budget of a twentieth of the time.
 */
import type { GroupOutlook, OptimizerPort, TaskOutlook } from '../../api/ports.ts'
import type { TaskId } from '../../base/ids.ts'
import { second } from '../../base/units.ts'
import type { Alarm } from '../../base/wire/forecast.ts'
import type { Advisor } from '../../optimizer/advice/advisor.ts'
import { inTurns } from '../../optimizer/advice/steps.ts'
import type { SchedulerState } from '../../scheduler/state.ts'
import type { Task } from '../../scheduler/types.ts'

export interface AdviceOptions {
  readonly advisor: Advisor
  readonly state: SchedulerState
  /** The wall clock, in milliseconds. */
  readonly now: () => number
  /** A monotonic clock, in milliseconds. */
  readonly elapsed: () => number
  /** Runs the callback in a later turn. */
  readonly soon: (callback: () => void) => void
  /** Alarms that are not about tasks. */
  readonly ownAlarms?: () => readonly Alarm[]
}

const LEAST_INTERVAL_MS = 1 * second
/** Part of the time to the median end for which a forecast stands. */
const HORIZON_SHARE = 0.1
/** Shortest and longest time between forecasts, in multiples of what the last one took: at most a tenth and a twentieth of the time. */
const LEAST_REST = 9
const MOST_REST = 20
/** However expensive it is: a forecast that was made before much was known must not stand for long. */
const MOST_INTERVAL_MS = 15 * second
/** Longest that a reply about one task waits for a forecast. */
const PATIENCE_MS = 100

/** Longest that the reply to a submission waits: it is committed, and its client may have more to submit. */
const SUBMISSION_PATIENCE_MS = 100
/** Share of the time that early forecasts may take, and how much of it is saved up. */
const EARLY = { share: 0.05, burstMs: 250 }

/** The parts of the port that an advisor answers. */
export type Advice = Pick<
  OptimizerPort,
  'outlook' | 'etas' | 'submissionEta' | 'groupOutlook' | 'expectedMs' | 'alarms' | 'suggestions'
>

export function createAdvice(options: AdviceOptions): Advice {
  const { advisor, state, now, soon } = options
  const forecasts = new Forecasts(options)
  return {
    outlook: async (task: Task): Promise<TaskOutlook> => {
      await forecasts.covering(task.id, PATIENCE_MS)
      const eta = advisor.eta(task)
      return {
        predicted: advisor.predicted(task),
        ...(eta === undefined ? {} : { eta }),
        alarms: advisor.alarmsOf(task, now())
      }
    },
    etas: async (tasks) => {
      const [only] = tasks
      if (tasks.length === 1 && only !== undefined) await forecasts.covering(only.id, PATIENCE_MS)
      else await forecasts.fresh(PATIENCE_MS)
      return tasks.map((task) => advisor.eta(task))
    },
    submissionEta: async (first, count) => {
      if (!advisor.hasLearned) return undefined
      await forecasts.covering(first, SUBMISSION_PATIENCE_MS)
      if (count > 1) return advisor.groupEta(first)
      const task = state.tasks.get(first)
      return task === undefined ? undefined : advisor.eta(task)
    },
    groupOutlook: async (group: TaskId): Promise<GroupOutlook> => {
      await forecasts.fresh(PATIENCE_MS)
      const eta = advisor.groupEta(group)
      return {
        ...(eta === undefined ? {} : { eta }),
        alarms: await inTurns(advisor.alarmsInSteps(now(), group), soon)
      }
    },
    expectedMs: (task) => advisor.expectedMs(task),
    alarms: async () => {
      if (wantsDeadlines(state)) await forecasts.fresh(Infinity)
      const ofTasks = await inTurns(advisor.alarmsInSteps(now()), soon)
      return [...(options.ownAlarms?.() ?? []), ...ofTasks]
    },
    suggestions: (name) => advisor.suggestions(name)
  }
}

/** Without a deadline no alarm needs a forecast. */
function wantsDeadlines(state: SchedulerState): boolean {
  for (const task of state.tasks.values()) if (task.spec.deadlineAt > 0) return true
  return false
}

class Forecasts {
  readonly #options: AdviceOptions
  #madeAt = -Infinity
  #tookMs = 0
  #making: Promise<void> | undefined
  /** What early forecasts may still take, as of `#countedAt`; below zero after an expensive one. */
  #earlyMs = EARLY.burstMs
  #countedAt: number

  constructor(options: AdviceOptions) {
    this.#options = options
    this.#countedAt = options.elapsed()
  }

  /** Resolves when the forecast is fresh, or as it is when `patienceMs` have passed. Rejects if making it fails. */
  async fresh(patienceMs: number): Promise<void> {
    if (this.#making === undefined && this.#options.elapsed() < this.#dueAt()) return
    await patiently(this.#begun(), patienceMs)
    const { advisor, elapsed } = this.#options
    if (elapsed() > this.#madeAt + MOST_INTERVAL_MS) advisor.dropForecast()
  }

  /** The same, with the task in it: a forecast that is too old for it is made anew as far as the budget goes. */
  async covering(id: TaskId, patienceMs: number): Promise<void> {
    const { advisor, elapsed } = this.#options
    const until = elapsed() + patienceMs
    await this.fresh(patienceMs)
    if (advisor.covers(id) || elapsed() >= until || this.#making !== undefined || !this.#mayBeEarly()) return
    await patiently(this.#begun(), until - elapsed())
  }

  #begun(): Promise<void> {
    this.#making ??= this.#make().finally(() => {
      this.#making = undefined
    })
    return this.#making
  }

  /** When the last forecast has stood long enough (rule 1). */
  #dueAt(): number {
    const { horizonMs, isOff } = this.#options.advisor
    const most = Math.min(MOST_INTERVAL_MS, MOST_REST * this.#tookMs)
    const least = Math.min(most, LEAST_REST * this.#tookMs)
    const wanted = isOff ? 0 : HORIZON_SHARE * horizonMs
    return this.#madeAt + Math.max(LEAST_INTERVAL_MS, least, Math.min(wanted, most))
  }

  #mayBeEarly(): boolean {
    const at = this.#options.elapsed()
    this.#earlyMs = Math.min(EARLY.burstMs, this.#earlyMs + (at - this.#countedAt) * EARLY.share)
    this.#countedAt = at
    return this.#earlyMs > 0
  }

  async #make(): Promise<void> {
    const { advisor, elapsed, now, soon } = this.#options
    const isEarly = elapsed() < this.#dueAt()
    const steps = advisor.refresh(now())
    let spentMs = 0
    for (;;) {
      const began = elapsed()
      const { done } = steps.next()
      const ended = elapsed()
      spentMs += ended - began
      if (done === true) {
        if (isEarly) this.#earlyMs -= spentMs
        this.#madeAt = ended
        this.#tookMs = spentMs
        return
      }
      await new Promise<void>((resolve) => {
        soon(resolve)
      })
    }
  }
}

/** Waits for it, but no longer than `patienceMs`; a failure that comes later is nobody's. */
async function patiently(made: Promise<void>, patienceMs: number): Promise<void> {
  if (patienceMs === Infinity) {
    await made
    return
  }
  const patience = new AbortController()
  await Promise.race([made, passed(patienceMs, patience.signal)])
  patience.abort()
}

function passed(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
