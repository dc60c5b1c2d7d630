import { expect, test } from 'vitest'
import { incarnation, nodeId, taskId } from '../../../../base/ids.ts'
import { LIMITS } from '../../../../base/limits.ts'
import type { ErrorCode } from '../../../../base/errors.ts'
import type { Proposal } from '../../../../scheduler/proposals.ts'
import { Forwarder } from '../../../../runtime/proposals/forwarder.ts'
import { origin as originOf } from '../../../helpers/scheduler.ts'
import { codeOf, HandClock, settled } from '../stub-ports.ts'

const RESEND_MS = 1_000
const OK = { ok: true, value: { type: 'none' } } as const

/** Node 1's forwarder; what it sends is recorded as `leader:sequence/lowest`. */
class World {
  readonly clock = new HandClock()
  readonly sent: string[] = []
  readonly forwarder: Forwarder

  constructor() {
    this.forwarder = new Forwarder({
      nodeId: nodeId(1),
      clock: this.clock,
      resendMs: RESEND_MS,
      send: (to, proposals) => this.sent.push(...proposals.map((proposal) => `${to}:${label(proposal)}`))
    })
    this.forwarder.openIncarnation(incarnation(1))
  }

  propose(timeoutMs = 10_000): Promise<unknown> {
    const outcome = this.forwarder.propose({ type: 'cancel', taskId: taskId(1) }, timeoutMs)
    outcome.catch(() => undefined)
    return outcome
  }

  leader(id: number | undefined): this {
    this.forwarder.setLeader(id === undefined ? undefined : nodeId(id))
    return this
  }

  refuse(from: number, sequence: number, code: ErrorCode): void {
    this.forwarder.refused(nodeId(from), { incarnation: incarnation(1), sequence, code, message: '' })
  }

  /** What one turn sends. */
  turn(afterMs = 0): string[] {
    this.clock.advance(afterMs)
    this.forwarder.tick()
    this.forwarder.flush()
    return this.sent.splice(0)
  }
}

function label(proposal: Proposal): string {
  const origin = 'origin' in proposal ? proposal.origin : undefined
  return origin === undefined ? proposal.type : `${origin.sequence}/${origin.lowestOutstanding}`
}

async function isPending(promise: Promise<unknown>): Promise<boolean> {
  const ends: unknown[] = []
  const end = (): number => ends.push(true)
  promise.then(end, end)
  await settled()
  return ends.length === 0
}

test('a proposal goes to the leader once, and is resolved by its outcome', async () => {
  const world = new World().leader(2)
  const outcome = world.propose()
  expect(world.turn()).toEqual(['2:1/1'])
  expect(world.turn(10)).toEqual([])
  world.forwarder.settled(originOf(1), OK)
  expect(await outcome).toEqual({ type: 'none' })
  expect(world.forwarder.outstanding).toBe(0)
})

test('a refused command rejects with the code of its outcome', async () => {
  const world = new World().leader(2)
  const outcome = world.propose()
  world.turn()
  world.forwarder.settled(originOf(1), { ok: false, code: 'TASK_NOT_FOUND', message: 'no such task' })
  expect(await codeOf(outcome)).toBe('TASK_NOT_FOUND')
})

test('what has no answer is sent again under the same sequence', () => {
  const world = new World().leader(2)
  void world.propose()
  world.turn()
  expect(world.turn(RESEND_MS - 1)).toEqual([])
  expect(world.turn(1)).toEqual(['2:1/1'])
})

test('a new leader gets everything that waits, and an absent one nothing', () => {
  const world = new World().leader(2)
  void world.propose()
  void world.propose()
  world.turn()
  world.leader(undefined)
  expect(world.turn(10)).toEqual([])
  world.leader(3)
  expect(world.turn(10)).toEqual(['3:1/1', '3:2/1'])
})

test('the lowest outstanding sequence rises as outcomes come', () => {
  const world = new World().leader(2)
  void world.propose()
  void world.propose()
  world.turn()
  world.forwarder.settled(originOf(1), OK)
  void world.propose()
  expect(world.turn()).toEqual(['2:3/2'])
})

test('a refusal by the only node that it was sent to rejects it', async () => {
  const world = new World().leader(2)
  const outcome = world.propose()
  world.turn()
  world.refuse(2, 1, 'OVERLOADED')
  expect(await codeOf(outcome)).toBe('OVERLOADED')
})

test('a node that does not lead rejects nothing: the proposal waits for another', async () => {
  const world = new World().leader(2)
  const outcome = world.propose()
  world.turn()
  world.refuse(2, 1, 'NOT_LEADER')
  expect(await isPending(outcome)).toBe(true)
  expect(world.turn(RESEND_MS)).toEqual(['2:1/1'])
})

test('after a second sending no refusal can say that nothing happened', async () => {
  const world = new World().leader(2)
  const outcome = world.propose()
  world.turn()
  world.leader(3)
  world.turn(10)
  world.refuse(3, 1, 'OVERLOADED')
  expect(await isPending(outcome)).toBe(true)
  world.forwarder.settled(originOf(1), OK)
  expect(await outcome).toEqual({ type: 'none' })
})

test('a refusal by a node that it was not sent to says nothing', async () => {
  const world = new World().leader(2)
  const outcome = world.propose()
  world.turn()
  world.refuse(3, 1, 'OVERLOADED')
  expect(await isPending(outcome)).toBe(true)
})

test('time runs out as NO_LEADER when it was never sent, and as TIMEOUT when it was', async () => {
  const world = new World()
  const unsent = world.propose(2_000)
  world.turn(2_000)
  expect(await codeOf(unsent)).toBe('NO_LEADER')
  world.leader(2)
  const sent = world.propose(2_000)
  world.turn()
  world.turn(2_000)
  expect(await codeOf(sent)).toBe('TIMEOUT')
  expect(world.turn(RESEND_MS)).toEqual([])
})

test('a late outcome of a proposal that was given up is ignored', () => {
  const world = new World().leader(2)
  void world.propose(100)
  world.turn()
  world.turn(100)
  world.forwarder.settled(originOf(1), OK)
  expect(world.forwarder.outstanding).toBe(0)
})

test('without an open incarnation nothing can be proposed', async () => {
  const forwarder = new Forwarder({
    nodeId: nodeId(1),
    clock: new HandClock(),
    resendMs: RESEND_MS,
    send: () => undefined
  })
  expect(await codeOf(forwarder.propose({ type: 'cancel', taskId: taskId(1) }, 1_000))).toBe('NO_LEADER')
})

test('a new incarnation counts anew while the old one still waits under its own name', () => {
  const world = new World().leader(2)
  void world.propose()
  world.turn()
  world.forwarder.openIncarnation(incarnation(2))
  void world.propose()
  expect(world.turn()).toEqual(['2:1/1'])
  world.forwarder.settled(originOf(1, { incarnation: incarnation(2) }), OK)
  expect(world.forwarder.outstanding).toBe(1)
})

test('a notice is sent once, or dropped when nobody leads', () => {
  const world = new World()
  const notice: Proposal = { type: 'leave', node: nodeId(1) }
  world.forwarder.notify(notice)
  expect(world.turn()).toEqual([])
  world.leader(2)
  expect(world.turn()).toEqual([])
  world.forwarder.notify(notice)
  expect(world.turn()).toEqual(['2:leave'])
  expect(world.turn(RESEND_MS)).toEqual([])
})

test('closing rejects all that waits', async () => {
  const world = new World().leader(2)
  const outcome = world.propose()
  world.forwarder.close('SHUTTING_DOWN', 'stopping')
  expect(await codeOf(outcome)).toBe('SHUTTING_DOWN')
})

test('proposals beyond the bound in bytes are refused, until others have their outcomes', async () => {
  const world = new World()
  const { forwarder } = world
  const bounds = LIMITS.uncommittedBytes / 256
  for (let count = 0; count < bounds; count++) void world.propose()
  expect(await codeOf(world.propose())).toBe('OVERLOADED')
  forwarder.settled(originOf(1), OK)
  expect(await isPending(world.propose())).toBe(true)
})
