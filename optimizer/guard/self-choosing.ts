/**
 * A policy that chooses between two others as a cluster with `policy auto` does: by replays of its own history under the
 * same rule (`policy-choice.ts`). For the lab, where it shows what the rule is worth; in a cluster the leader's optimizer
 * thread does the replays and the log carries the change.
 *
 * 1. The estimator hears of every attempt, whichever policy is in use; a replay uses fresh ones. Each is trusted only while it is worth more
 *    than plain class means (`trusted-estimator.ts`).
 * 2. A challenger that throws, chooses what does not hold, or lets an idle cluster stand beside ready work has failed: the
 *    safe policy takes over within the same call.
 * 3. A change of policy resets the new one from the view. Attempts that run are not touched.
 */
import type { TaskId } from '../../base/ids.ts'
import type { Rng } from '../../base/prng.ts'
import type { TimestampMs } from '../../base/units.ts'
import type {
  AttemptFeedback,
  ClusterView,
  PlacementChoice,
  Policy,
  PolicyFactory,
  TaskView
} from '../../scheduler/policy.ts'
import type { Estimator } from '../estimate.ts'
import { finishedView, History } from './history.ts'
import type { FinishedTask } from './history.ts'
import { PolicyChoice, type PolicySwitch } from './policy-choice.ts'
import { compareOnRecent, FEWEST_REPLAYED } from './recent.ts'
import type { NodeFacts } from './replay.ts'
import { TrustedEstimator } from './trusted-estimator.ts'
import { NOTHING_UNENDED, unendedInView } from './unended.ts'

export interface SelfChoosingOptions {
  readonly name: string
  readonly safe: { readonly name: string; readonly factory: PolicyFactory }
  /** `learns`: whether the policy tells the estimator of what happens, as in a replay. */
  readonly challenger: {
    readonly name: string
    readonly factory: (estimator: Estimator, learns: boolean) => PolicyFactory
  }
  /** Makes an estimator that has heard nothing. */
  readonly estimator: () => Estimator
  readonly rng: Rng
  /** Told of each change. */
  readonly onSwitch?: (change: PolicySwitch) => void
}

/** As much as a leader keeps, and replays at most. */
const HISTORY_TASKS = 6_000
const REPLAYED_TASKS = 2_000

export function selfChoosing(options: SelfChoosingOptions): Policy {
  return new SelfChoosing(options)
}

class SelfChoosing implements Policy {
  readonly name: string
  readonly #options: SelfChoosingOptions
  readonly #choice: PolicyChoice
  readonly #estimator: TrustedEstimator
  readonly #history = new History(HISTORY_TASKS)
  /** What a task that has not finished would be in the history, by how its last attempt ended. */
  readonly #last = new Map<TaskId, FinishedTask>()
  #inner: Policy
  #current: string
  #offered: PlacementChoice | undefined
  #due = false

  constructor(options: SelfChoosingOptions) {
    const { name, safe, challenger, estimator, rng } = options
    this.name = name
    this.#options = options
    this.#choice = new PolicyChoice(safe.name, challenger.name)
    this.#estimator = new TrustedEstimator(estimator())
    this.#inner = safe.factory(rng)
    this.#current = safe.name
  }

  reset(view: ClusterView): void {
    this.#try(view, (policy) => {
      policy.reset(view)
    })
  }

  onReady(task: TaskView, view: ClusterView): void {
    this.#try(view, (policy) => {
      policy.onReady(task, view)
    })
  }

  onGone(taskId: TaskId, view: ClusterView): void {
    const { node, taskId: offered } = this.#offered ?? {}
    const task = view.task(taskId)
    const host = node === undefined || offered !== taskId ? undefined : view.node(node)
    if (task !== undefined && host !== undefined) this.#estimator.placed(task, host, view.now)
    this.#offered = undefined
    this.#try(view, (policy) => {
      policy.onGone(taskId, view)
    })
  }

  onEnded(feedback: AttemptFeedback, view: ClusterView): void {
    this.#estimator.observe(feedback)
    this.#last.set(feedback.task.id, finishedView(feedback.task, feedback, view.now))
    this.#try(view, (policy) => policy.onEnded?.(feedback, view))
  }

  onFinished(taskId: TaskId, view: ClusterView): void {
    const last = this.#last.get(taskId)
    this.#last.delete(taskId)
    if (last !== undefined) this.#history.add(last)
    if (this.#choice.ended(1, this.#current)) this.#due = true
    this.#try(view, (policy) => policy.onFinished?.(taskId, view))
  }

  onNotCopied(taskId: TaskId, view: ClusterView): void {
    this.#try(view, (policy) => policy.onNotCopied?.(taskId, view))
  }

  onNodesChanged(view: ClusterView): void {
    this.#try(view, (policy) => policy.onNodesChanged?.(view))
  }

  next(view: ClusterView): PlacementChoice | undefined {
    if (this.#due) {
      this.#due = false
      this.#choice.looked()
      this.#change(this.#replay(view), view)
    }
    const choice = this.#try(view, (policy) => checked(policy, view))
    this.#offered = choice
    return choice
  }

  wakeAt(view: ClusterView): TimestampMs | undefined {
    return this.#try(view, (policy) => {
      const at = policy.wakeAt?.(view)
      if (Number.isNaN(at)) throw new Error('got NaN as the time to be asked again')
      return at
    })
  }

  /** Does it with the policy in use, and again with the safe one when that fails. */
  #try<T>(view: ClusterView, act: (policy: Policy) => T): T {
    if (this.#current === this.#choice.safe) return act(this.#inner)
    try {
      return act(this.#inner)
    } catch (error) {
      this.#change(this.#choice.failed(String(error)), view)
      // It was reset from a view that shows what it was about to be told.
      return act(this.#inner)
    }
  }

  #change(change: PolicySwitch | undefined, view: ClusterView): void {
    if (change === undefined) return
    const { safe, challenger, rng, onSwitch } = this.#options
    this.#current = change.to
    this.#inner =
      change.to === safe.name ? safe.factory(rng) : challenger.factory(this.#estimator, false)(rng)
    onSwitch?.(change)
    this.#try(view, (policy) => {
      policy.reset(view)
    })
  }

  #replay(view: ClusterView): PolicySwitch | undefined {
    const { safe, challenger, estimator } = this.#options
    if (this.#history.size < 2 * FEWEST_REPLAYED) return undefined
    const history = this.#history.newest(HISTORY_TASKS)
    const count = Math.min(REPLAYED_TASKS, Math.ceil(history.length / 2))
    const compared = compareOnRecent(
      history,
      count,
      nodeFacts(view),
      this.#choice.holdsUnended(this.#current) ? unendedInView(view, history, count) : NOTHING_UNENDED,
      { name: safe.name, make: () => safe.factory },
      [
        {
          name: challenger.name,
          make: (tell) => {
            const fresh = new TrustedEstimator(estimator())
            tell(fresh)
            return challenger.factory(fresh, true)
          }
        }
      ]
    )
    return this.#choice.judge(this.#current, compared)
  }
}

/** The policy's choice; throws when it does not hold, or when there is none though there must be one. */
function checked(policy: Policy, view: ClusterView): PlacementChoice | undefined {
  const choice = policy.next(view)
  if (choice === undefined) {
    for (const _ of view.running()) return undefined
    const idle = view.nodes()
    for (const task of view.ready())
      if (idle.some((node) => view.eligible(task, node) && view.fits(task, node)))
        throw new Error(`task ${task.id} is ready, nothing runs, and nothing is placed`)
    return undefined
  }
  const task = view.task(choice.taskId)
  const node = view.node(choice.node)
  if (task === undefined || node === undefined || !view.eligible(task, node) || !view.fits(task, node))
    throw new Error(`task ${choice.taskId} cannot run on node ${choice.node}`)
  return choice
}

function nodeFacts(view: ClusterView): NodeFacts[] {
  return view.nodes().map(({ id, labels, zone, profile, slots, resources }) => ({
    ...{ id, labels, zone, profile, slots, resources },
    executors: ['sim'],
    handlers: []
  }))
}
