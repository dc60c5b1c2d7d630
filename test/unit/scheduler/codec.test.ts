import { expect, test } from 'vitest'
import { incarnation, nodeId, peerId, taskId } from '../../../base/ids.ts'
import { createRng } from '../../../base/prng.ts'
import { durationMs, timestampMs } from '../../../base/units.ts'
import { NO_BYTES } from '../../../scheduler/bytes.ts'
import { decodeBatch, decodeProposals, encodeBatch, encodeProposals } from '../../../scheduler/codec.ts'
import { COMMAND_TYPES } from '../../../scheduler/command-codec.ts'
import type { Command, CommandBatch } from '../../../scheduler/commands.ts'
import { createIdAllocator, toCommand } from '../../../scheduler/proposals.ts'
import type { Proposal } from '../../../scheduler/proposals.ts'
import type { TaskSpec } from '../../../scheduler/types.ts'
import { START, Machine, failure, needs, offer, origin, report, spec } from '../../helpers/scheduler.ts'

const { token } = report(1, 9)
const full: TaskSpec = {
  name: 'größe',
  tenant: 'team-a',
  executor: 'shell',
  handler: 'h',
  params: new Uint8Array([1, 2, 3]),
  input: new Uint8Array([0, 255]),
  needs: needs(3, 4),
  priority: -7,
  resources: { cpu: 500, memory: 2 ** 33 },
  nodeSelector: { disk: 'ssd', zone: '' },
  retry: { maxAttempts: 9, baseDelayMs: durationMs(0), maxDelayMs: durationMs(7) },
  scheduleToStartMs: durationMs(1),
  startToCloseMs: durationMs(2),
  killGraceMs: durationMs(0),
  delivery: 'at-most-once',
  idempotent: true,
  onLeaseLoss: 'continue',
  isolation: 'thread',
  notBefore: timestampMs(START),
  deadlineAt: timestampMs(START + 1)
}

const COMMANDS: readonly Command[] = [
  { type: 'submit', origin: origin(1), firstId: taskId(10), tasks: [full, spec(), full, spec()] },
  {
    type: 'submit',
    origin: origin(2),
    firstId: taskId(2 ** 40),
    tasks: [spec({ input: new Uint8Array(300).fill(9) })],
    idempotency: { key: 'k', fingerprint: 'f', ttlMs: durationMs(5) }
  },
  { type: 'cancel', origin: origin(3), taskId: taskId(1) },
  { type: 'place', taskId: taskId(1), node: nodeId(2), incarnation: incarnation(3) },
  { type: 'start', taskId: taskId(1), token, startedAt: timestampMs(START) },
  { type: 'complete', report: report(1, 9, { error: failure }), retryDelayMs: durationMs(77) },
  { type: 'stop', taskId: taskId(1), token, reason: 'replace' },
  { type: 'wake' },
  { type: 'expire', taskId: taskId(1) },
  { type: 'register-node', peerId: peerId('p'), addresses: ['/ip4/1', '/ip4/2'], zone: 'z' },
  {
    type: 'announce',
    node: nodeId(1),
    incarnation: incarnation(2),
    offer: offer({ url: 'http://x', addresses: ['a'] }),
    outbox: [report(1, 2), report(3, 4, { outcome: 'not-started' })],
    retryDelayMs: durationMs(1)
  },
  {
    type: 'end-incarnation',
    node: nodeId(1),
    incarnation: incarnation(2),
    reason: 'stopped',
    retryDelayMs: durationMs(0)
  },
  { type: 'leave', node: nodeId(1) },
  { type: 'remove-node', node: nodeId(1), origin: origin(8) },
  {
    type: 'set-settings',
    settings: {
      leaseMs: durationMs(1),
      policy: 'x',
      historyTasks: 1,
      historyMs: durationMs(2),
      modelMode: 'frozen',
      policyMode: 'auto'
    },
    expectedPolicyChoice: 300,
    reason: 'because'
  },
  { type: 'set-settings', settings: {}, origin: origin(9) },
  { type: 'retire', before: timestampMs(START) },
  { type: 'expire-keys' },
  { type: 'publish-model', weights: new Uint8Array([1, 2]), trainedOn: 7, evaluation: new Uint8Array([3]) },
  {
    type: 'judge-model',
    origin: origin(10),
    version: 3,
    verdict: 'roll-back',
    expected: 'serving',
    toPrevious: true,
    reason: 'drift',
    evaluation: new Uint8Array([4])
  },
  { type: 'place-copy', taskId: taskId(1), node: nodeId(2), incarnation: incarnation(3), of: token },
  { type: 'judge-model', version: 3, verdict: 'promote', toPrevious: false, reason: '' }
]

const batch: CommandBatch = { stampedAt: timestampMs(START), commands: COMMANDS }

test('every command comes back as it was', () => {
  expect(new Set(COMMANDS.map((command) => command.type)).size).toBe(COMMAND_TYPES.length)
  expect(decodeBatch(encodeBatch(batch))).toEqual(batch)
})

test('every proposal comes back as it was', () => {
  const proposals: Proposal[] = [
    {
      type: 'submit',
      origin: origin(1),
      submission: {
        tasks: [
          { ...full, needs: [{ id: taskId(5), as: 'earlier' }] },
          { ...spec(), needs: [{ position: 0, as: 'first' }] }
        ],
        idempotency: { key: 'k', fingerprint: 'f', ttlMs: durationMs(5) }
      }
    },
    { type: 'report', report: report(1, 2) },
    {
      type: 'announce',
      node: nodeId(1),
      incarnation: incarnation(2),
      offer: offer(),
      outbox: [report(1, 2)]
    },
    { type: 'end-incarnation', node: nodeId(1), incarnation: incarnation(2), reason: 'stopped' },
    { type: 'cancel', origin: origin(3), taskId: taskId(1) },
    { type: 'leave', node: nodeId(1) },
    {
      type: 'publish-model',
      origin: origin(4),
      weights: new Uint8Array([1]),
      trainedOn: 1,
      evaluation: NO_BYTES
    },
    { type: 'judge-model', version: 1, verdict: 'reject', toPrevious: false, reason: 'worse' }
  ]
  expect(decodeProposals(encodeProposals(proposals))).toEqual(proposals)
})

test('a commands that only a leader makes is no proposal', () => {
  const forged = { type: 'place', taskId: taskId(1), node: nodeId(1), incarnation: incarnation(1) }
  const bytes = encodeProposals([forged as unknown as Proposal])
  expect(() => decodeProposals(bytes)).toThrow(expect.objectContaining({ code: 'ENCODING_INVALID' }))
})

test('a batch cut anywhere is refused, never half decoded', () => {
  const bytes = encodeBatch(batch)
  for (let length = 0; length < bytes.length; length++) {
    expect(() => decodeBatch(bytes.subarray(0, length))).toThrow(
      expect.objectContaining({ code: 'ENCODING_INVALID' })
    )
  }
})

test('arbitrary damage gives a coded error or a batch that encodes again, and nothing else', () => {
  const rng = createRng(7)
  const bytes = encodeBatch(batch)
  for (let round = 0; round < 3_000; round++) {
    const damaged = bytes.slice()
    for (let flips = 1 + rng.nextInt(3); flips > 0; flips--) {
      damaged[rng.nextInt(damaged.length)] = rng.nextInt(256)
    }
    let decoded: CommandBatch | undefined
    try {
      decoded = decodeBatch(damaged)
    } catch (error) {
      expect(error).toMatchObject({ code: 'ENCODING_INVALID' })
    }
    if (decoded !== undefined) encodeBatch(decoded)
  }
})

test('an unknown version, an unknown command and trailing bytes are refused', () => {
  const bytes = encodeBatch({ stampedAt: timestampMs(1), commands: [{ type: 'wake' }] })
  const refused = expect.objectContaining({ code: 'ENCODING_INVALID' }) as unknown as Error
  expect(() => decodeBatch(new Uint8Array([(bytes[0] ?? 0) + 1, ...bytes.subarray(1)]))).toThrow(refused)
  expect(() => decodeBatch(new Uint8Array([...bytes.subarray(0, -1), COMMAND_TYPES.length]))).toThrow(refused)
  expect(() => decodeBatch(new Uint8Array([...bytes, 0]))).toThrow(refused)
})

test('alike tasks share one body, so 500 of them take little more than their inputs', () => {
  const size = (count: number): number => {
    const tasks = Array.from({ length: count }, () =>
      spec({ name: 'a-rather-long-class-name', params: new Uint8Array(200) })
    )
    const command: Command = { type: 'submit', origin: origin(1), firstId: taskId(1), tasks }
    return encodeBatch({ stampedAt: timestampMs(START), commands: [command] }).length
  }
  expect(size(500) - size(1)).toBeLessThan(500 * 5)
})

test('an entry does not stay in memory for the sake of a small field', () => {
  const bytes = encodeBatch(batch)
  const [command] = decodeBatch(bytes).commands
  if (command?.type !== 'submit') throw new Error('expected the submission')
  expect(command.tasks[0]?.params.buffer.byteLength).toBe(3)
  expect(command.tasks[1]?.input).toBe(NO_BYTES)
})

test('text that is not well-formed is mended the same way for all', () => {
  const broken = spec({ name: 'a\ud800b' })
  const command: Command = { type: 'submit', origin: origin(1), firstId: taskId(1), tasks: [broken] }
  const [decoded] = decodeBatch(encodeBatch({ stampedAt: timestampMs(1), commands: [command] })).commands
  expect(decoded).toMatchObject({ tasks: [{ name: 'a\ufffdb' }] })
})

test('an encoding that fails leaves nothing behind for the next', () => {
  const wrong: Command = { type: 'retire', before: timestampMs(-1) }
  expect(() => encodeBatch({ stampedAt: timestampMs(1), commands: [wrong] })).toThrow('uint')
  expect(decodeBatch(encodeBatch(batch))).toEqual(batch)
})

test('a leader gives ids above those in flight and draws retry delays within the policy', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([spec()])
  machine.place(1, 1)
  const ids = createIdAllocator(machine.state)
  const rng = createRng(1)
  const submission = { tasks: [spec({ needs: [] }), { ...spec(), needs: [{ position: 0, as: 'a' }] }] }
  const proposal: Proposal = { type: 'submit', origin: origin(1), submission: submission }
  const first = toCommand(proposal, machine.state, ids, rng)
  const second = toCommand(proposal, machine.state, ids, rng)
  expect(first).toMatchObject({ firstId: 2, tasks: [{ needs: [] }, { needs: [{ id: 2, as: 'a' }] }] })
  expect(second).toMatchObject({ firstId: 4, tasks: [{ needs: [] }, { needs: [{ id: 4, as: 'a' }] }] })
  ids.reset()
  expect(toCommand(proposal, machine.state, ids, rng)).toMatchObject({ firstId: 2 })
  const delays = Array.from({ length: 200 }, () => {
    const failed = report(1, 1, { outcome: 'failed', error: { ...failure, message: 'x'.repeat(9_000) } })
    const command = toCommand({ type: 'report', report: failed }, machine.state, ids, rng)
    if (command.type !== 'complete') throw new Error('expected a completion')
    expect(command.report.error?.message.length).toBeLessThan(4_096)
    return command.retryDelayMs
  })
  expect(Math.max(...delays)).toBeLessThanOrEqual(1_000)
  expect(Math.max(...delays)).toBeGreaterThan(800)
  expect(Math.min(...delays)).toBeLessThan(200)
})
