/**
 * A placement policy that cannot take its leader down with it.
 *
 * G1. A policy is out when it throws, answers what is no answer, chooses what does not hold in FAULTY_ROUNDS rounds on end,
 *     takes longer than SLOW_ROUND_MS for SLOW_ROUNDS rounds on end (with what it hears before each), or lets an idle cluster stand beside ready work (`idle-watch.ts`).
 *     Being out lasts until another one is made.
 * G2. Its stand-in takes over within the same call, from what the view shows then, so that no task is forgotten.
 * G3. The stand-in is not watched: it is the project's own, and its throw is a bug like any other.
 *
 * Also measures what decisions cost.
 *
 * A policy that never returns is beyond its reach: it holds the thread that would have to stop it. The node then says nothing more, so
 * the others elect a leader and its supervisor ends its attempts when their lease does; but the new leader asks the same policy, and
 * may hang as well. Nodes that are started with `--built-in-policies` do not ask it.
 */
import type { TaskId } from '../../base/ids.ts'
import { timestampMs, type TimestampMs } from '../../base/units.ts'
import type {
  AttemptFeedback,
  ClusterView,
  PlacementChoice,
  Policy,
  TaskView
} from '../../scheduler/policy.ts'
import type { Clock } from '../ports/clock.ts'
import type { RecentTimes } from '../recent-times.ts'
import { IdleWatch } from './idle-watch.ts'

/** Why a policy is out. `unknown`: this leader does not have it. */
export type PolicyFault = 'unknown' | 'threw' | 'nonsense' | 'slow' | 'stalled'

export interface PolicyFailure {
  readonly policy: string
  readonly fault: PolicyFault
  readonly message: string
}

export interface GuardInput {
  readonly policy: Policy
  readonly standIn: () => Policy
  readonly clock: Clock
  /** Takes the microseconds of each decision. */
  readonly times: RecentTimes
  readonly onFailure: (failure: PolicyFailure) => void
}

const FAULTY_ROUNDS = 3
const SLOW_ROUNDS = 3
/** A round holds up heartbeats. With the default timing followers wait a second for one; with the LAN's, 300 ms. */
const SLOW_ROUND_MS = 500

export class GuardedPolicy implements Policy {
  readonly #input: GuardInput
  readonly #idle = new IdleWatch()
  #inner: Policy
  #out = false
  #faultyRounds = 0
  #slowRounds = 0
  /** What the policy took to hear of things since the last round. */
  #hearingMs = 0

  constructor(input: GuardInput) {
    this.#input = input
    this.#inner = input.policy
  }

  /** Of whichever decides: the policy, or its stand-in. */
  get name(): string {
    return this.#inner.name
  }

  reset(view: ClusterView): void {
    this.#idle.anew()
    this.#guard(view, (inner) => {
      inner.reset(view)
    })
  }

  onReady(task: TaskView, view: ClusterView): void {
    this.#idle.ready(task.id)
    this.#guard(view, (inner) => {
      inner.onReady(task, view)
    })
  }

  onGone(taskId: TaskId, view: ClusterView): void {
    this.#idle.gone(taskId)
    this.#guard(view, (inner) => {
      inner.onGone(taskId, view)
    })
  }

  onEnded(feedback: AttemptFeedback, view: ClusterView): void {
    this.#guard(view, (inner) => {
      inner.onEnded?.(feedback, view)
    })
  }

  onFinished(taskId: TaskId, view: ClusterView): void {
    this.#guard(view, (inner) => {
      inner.onFinished?.(taskId, view)
    })
  }

  onNotCopied(taskId: TaskId, view: ClusterView): void {
    this.#guard(view, (inner) => {
      inner.onNotCopied?.(taskId, view)
    })
  }

  onNodesChanged(view: ClusterView): void {
    this.#idle.anew()
    this.#guard(view, (inner) => {
      inner.onNodesChanged?.(view)
    })
  }

  next(view: ClusterView): PlacementChoice | undefined {
    const { clock, times } = this.#input
    const before = clock.monotonicNow()
    const choice = this.#answer(view, (inner) => inner.next(view))
    times.add((clock.monotonicNow() - before) * 1_000)
    if (this.#out) return choice
    if (choice !== undefined) {
      this.#idle.anew()
      return choice
    }
    const wrong = this.#idle.nothing(view)
    if (wrong === undefined) return undefined
    this.#fail('stalled', wrong, view)
    return this.#inner.next(view)
  }

  wakeAt(view: ClusterView): TimestampMs | undefined {
    const at = this.#answer(view, (inner) => inner.wakeAt?.(view))
    if (at === undefined || !Number.isNaN(at)) return this.#out ? at : earlier(at, this.#idle.wakeAt())
    this.#fail('nonsense', 'wakeAt: got NaN, expected a time', view)
    return timestampMs(view.now)
  }

  /**
   * A round of choices is over that took so long, beside what the policy took to hear of things since the last one. `faulty`: its last choice
   * did not hold. Returns whether the policy went out over it.
   */
  roundEnded(faulty: boolean, choosingMs: number, view: ClusterView): boolean {
    if (this.#out) return false
    const tookMs = choosingMs + this.#hearingMs
    this.#hearingMs = 0
    this.#faultyRounds = faulty ? this.#faultyRounds + 1 : 0
    this.#slowRounds = tookMs > SLOW_ROUND_MS ? this.#slowRounds + 1 : 0
    if (this.#faultyRounds >= FAULTY_ROUNDS)
      this.#fail('nonsense', `its choices did not hold in ${FAULTY_ROUNDS} rounds on end`, view)
    else if (this.#slowRounds >= SLOW_ROUNDS)
      this.#fail('slow', `its rounds took longer than ${SLOW_ROUND_MS} ms, ${SLOW_ROUNDS} on end`, view)
    return this.#out
  }

  #guard(view: ClusterView, call: (inner: Policy) => void): void {
    if (this.#out) {
      call(this.#inner)
      return
    }
    const { clock } = this.#input
    const before = clock.monotonicNow()
    try {
      call(this.#inner)
      this.#hearingMs += clock.monotonicNow() - before
    } catch (error) {
      // What the call was about is in the view, which the stand-in reads.
      this.#fail('threw', String(error), view)
    }
  }

  #answer<T>(view: ClusterView, ask: (inner: Policy) => T): T {
    if (this.#out) return ask(this.#inner)
    try {
      return ask(this.#inner)
    } catch (error) {
      this.#fail('threw', String(error), view)
      return ask(this.#inner)
    }
  }

  #fail(fault: PolicyFault, message: string, view: ClusterView): void {
    const policy = this.#inner.name
    this.#out = true
    this.#inner = this.#input.standIn()
    this.#inner.reset(view)
    this.#input.onFailure({ policy, fault, message })
  }
}

function earlier(a: TimestampMs | undefined, b: TimestampMs | undefined): TimestampMs | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return a < b ? a : b
}
