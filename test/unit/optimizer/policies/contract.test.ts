import { expect, test } from 'vitest'
import { createRng } from '../../../../base/prng.ts'
import { BASELINES } from '../../../../optimizer/lab/catalog.ts'
import { SYNTHETIC_DEFAULTS, syntheticTrace } from '../../../../optimizer/lab/synthetic.ts'
import { simulate } from '../../../../optimizer/sim/engine.ts'
import type { ClusterView, Policy, TaskView } from '../../../../scheduler/policy.ts'

const [instance] = [...syntheticTrace({ ...SYNTHETIC_DEFAULTS, tasks: 150, nodes: 3 }).instances(1, 0.9)]

// LATE reads the simulator's own attempts, by design.
test.each(BASELINES.map(({ name }) => name).filter((name) => name !== 'late'))(
  '%s keeps nothing of a view beyond the call it was valid for',
  (name) => {
    const entry = BASELINES.find((candidate) => candidate.name === name)!
    const run = (wrap: (policy: Policy) => Policy): number[] =>
      Array.from(
        simulate(instance!.workload, instance!.cluster, wrap(entry.make(instance!, createRng(4))), {
          model: instance!.model()
        }).finishedAt
      )
    expect(run(shortLived)).toEqual(run((policy) => policy))
  }
)

/** The policy on views whose tasks and lists of nodes cannot be used after the call. */
function shortLived(inner: Policy): Policy {
  const { call, task: lend } = lender()
  return {
    name: inner.name,
    reset: (view) => {
      call(view, (lent) => {
        inner.reset(lent)
      })
    },
    onReady: (task, view) => {
      call(view, (lent) => {
        inner.onReady(lend(task), lent)
      })
    },
    onGone: (id, view) => {
      call(view, (lent) => {
        inner.onGone(id, lent)
      })
    },
    onEnded: (feedback, view) =>
      call(view, (lent) => inner.onEnded?.({ ...feedback, task: lend(feedback.task) }, lent)),
    onFinished: (id, view) => call(view, (lent) => inner.onFinished?.(id, lent)),
    onNodesChanged: (view) => call(view, (lent) => inner.onNodesChanged?.(lent)),
    next: (view) => call(view, (lent) => inner.next(lent)),
    wakeAt: (view) => call(view, (lent) => inner.wakeAt?.(lent))
  }
}

function lender(): {
  call: <T>(view: ClusterView, use: (lent: ClusterView) => T) => T
  task: (task: TaskView) => TaskView
} {
  let revoke: (() => void)[] = []
  const lend = <T extends object>(target: T): T => {
    const lent = Proxy.revocable(target, { get: (of, key) => Reflect.get(of, key) as unknown })
    revoke.push(lent.revoke)
    return lent.proxy
  }
  const call = <T>(view: ClusterView, use: (lent: ClusterView) => T): T => {
    const nodes = [...view.nodes()]
    const lent: ClusterView = lend({
      now: view.now,
      nodes: () => nodes,
      node: (id) => nodes.find((node) => node.id === id),
      task: (id) => {
        const task = view.task(id)
        return task === undefined ? undefined : lend(task)
      },
      running: () => [...view.running()],
      *ready() {
        for (const task of view.ready()) yield lend(task)
      },
      readyIds: () => view.readyIds(),
      eligible: (task, node) => view.eligible(task, node),
      fits: (task, node) => view.fits(task, node)
    } satisfies ClusterView)
    const result = use(lent)
    for (const end of revoke) end()
    revoke = []
    // The array is reused by contract: one that was kept is empty afterwards.
    nodes.length = 0
    return result
  }
  return { call, task: lend }
}
