import { expect, test } from 'vitest'
import { nodeId, peerId } from '../../../../base/ids.ts'
import { refusedOffers } from '../../../../node/wiring/refused-offers.ts'
import { unusedJoin } from '../../../../node/wiring/start-checks.ts'
import type { SchedulerEvent } from '../../../../scheduler/events.ts'

const MEMBER = '12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN'
const STRANGER = '12D3KooWNvSZnPi3RrhrTwEY4LuuBeB6K6facKUCJcyWG1aoDd2p'

function unused(...join: string[]): string | undefined {
  const nodes = new Map([[nodeId(2), { offer: { addresses: [`/ip4/10.0.0.2/tcp/7401/p2p/${MEMBER}`] } }]])
  const state = { peers: new Map([[peerId(MEMBER), nodeId(2)]]), nodes }
  return unusedJoin(join, { nodeId: 1, clusterId: 'abc' }, state as never)
}

test('the same command line starts a node anew, and one that leads to another cluster is told that it stays', () => {
  expect(unused()).toBeUndefined()
  expect(unused(`/ip4/10.9.9.9/tcp/1/p2p/${MEMBER}`)).toBeUndefined()
  expect(unused('/ip4/10.0.0.2/tcp/7401')).toBeUndefined()
  expect(unused(`/ip4/10.0.0.2/tcp/7401/p2p/${STRANGER}`)).toMatch(
    /^--join is not used: this folder belongs to node 1 of cluster abc, which knows no member at/
  )
  expect(unused('/ip4/10.0.0.2/tcp/74')).toBeDefined()
  expect(unused('/ip4/10.0.0.3/tcp/1', '/ip4/10.0.0.2/tcp/7401')).toBeUndefined()
})

test('an offer that the cluster refuses is logged once for each reason, and only what is wrong with this node', () => {
  const logged: unknown[] = []
  const tell = refusedOffers(nodeId(1), { error: (fields) => logged.push(fields) })
  const refusal = (node: number, message: string, code = 'LIMIT_EXCEEDED'): SchedulerEvent =>
    ({ type: 'command-refused', command: 'announce', node: nodeId(node), code, message }) as SchedulerEvent
  tell([refusal(1, 'offer.slots'), refusal(2, 'offer.labels'), refusal(1, 'late', 'STALE_INCARNATION')])
  tell([refusal(1, 'offer.slots')])
  tell([refusal(1, 'offer.resources')])
  expect(logged).toEqual([
    { nodeId: 1, reason: 'offer.slots' },
    { nodeId: 1, reason: 'offer.resources' }
  ])
})
