/** An operator leaves the choice of the policy to the leader anew, while the leader's own change is on its way. */
import { expect, test } from 'vitest'
import { AppError } from '../../base/errors.ts'
import type { Draft } from '../../runtime/proposals/forwarder.ts'
import type { Settings } from '../../scheduler/types.ts'
import { SimCluster } from '../../sim/cluster.ts'
import type { SimNode } from '../../sim/sim-node.ts'

const ROUNDS = 24
const PROPOSE_MS = 10_000

test.each([1, 2])('whichever comes first, the choice of the operator stands (seed %i)', async (seed) => {
  const cluster = new SimCluster({
    ...{ seed, nodes: 3, slots: 1 },
    behaviour: () => ({ runMs: 1, end: { outcome: 'succeeded', result: new Uint8Array(0) }, obeyMs: 1 })
  })
  await cluster.start()
  const settings = (node: SimNode): Settings => node.runtime!.state.settings
  const ask = (node: SimNode, draft: Draft): Promise<unknown> =>
    cluster.ask(node.runtime!.propose(draft, PROPOSE_MS), PROPOSE_MS)
  let taken = 0
  for (let round = 0; round < ROUNDS; round++) {
    const leader = cluster.leader()!
    const other = cluster.nodes[round % cluster.nodes.length]!
    await cluster.finish(
      ask(leader, { type: 'set-settings', settings: { policy: 'learned', policyMode: 'auto' } })
    )
    const { policyChoice } = settings(leader)
    const choose = (): Promise<unknown> =>
      ask(other, { type: 'set-settings', settings: { policyMode: 'auto' } })
    const chosen = round % 2 === 0 ? choose() : undefined
    const answer = ask(leader, {
      type: 'set-settings',
      settings: { policy: 'least-loaded' },
      expectedPolicyChoice: policyChoice,
      returns: 5
    })
    await cluster.finish(Promise.all([answer, chosen ?? choose()]))
    const refusal = await answer
    if (refusal instanceof AppError)
      expect(refusal.message).toContain(`policyChoice: got ${policyChoice + 1}, expected ${policyChoice}`)
    else taken++
    const agree = (): boolean =>
      cluster.nodes.every((node) => settings(node).policyChoice === policyChoice + 1)
    await cluster.until(agree, 10_000, 'all nodes know the choice')
    for (const node of cluster.nodes) {
      expect(settings(node).policy).toBe(refusal instanceof AppError ? 'learned' : 'least-loaded')
      expect(settings(node).policyChange?.returns).toBe(0)
    }
  }
  // Both orders came up.
  expect(taken).toBeGreaterThan(0)
  expect(taken).toBeLessThan(ROUNDS)
})
