import { expect, test } from 'vitest'
import { monotonicMs, timestampMs } from '../../../../base/units.ts'
import { createJsPool } from '../../../../node/executors/js/pool.ts'
import type { DoneMessage, ToPool } from '../../../../node/executors/js/protocol.ts'
import type { ToSupervisor } from '../../../../node/supervisor/protocol.ts'
import { createAttemptTable } from '../../../../runtime/supervisor/attempt-table.ts'
import type { AttemptExit, AttemptStart } from '../../../../runtime/ports/attempt-host.ts'

const NO_BYTES = new Uint8Array(0)

/** A pool of at most `slots` processes that exist only as the messages they get. */
function setUp(slots: number) {
  const table = createAttemptTable<number>({ leaseMarginMs: 0 })
  table.extendLease(1, 1e9, 0)
  const exits: AttemptExit[] = []
  const spawned: { child: number; secret: string }[] = []
  const killed: number[] = []
  let children = 0
  const pool = createJsPool(
    {
      slots,
      warm: slots,
      growAfterMs: 1e6,
      recycleAfterAttempts: 1e6,
      recycleAboveBytes: 1000,
      clock: { monotonicNow: () => monotonicMs(1), wallNow: () => timestampMs(1) },
      log: { debug: () => 0, info: () => 0, warn: () => 0, error: () => 0 },
      supervisor: {
        send: (message: ToSupervisor) => {
          if (message.type === 'spawn') spawned.push(message)
          if (message.type === 'kill') killed.push(message.child)
        },
        flush: () => undefined
      },
      nextChild: () => ++children,
      notAfter: () => 1e12
    },
    table,
    {
      onStarted: () => undefined,
      onOutput: () => undefined,
      onExit: (exit) => exits.push(exit),
      onChange: () => undefined
    }
  )
  pool.setHandlers([{ name: 'h', hash: '', url: '', exportName: '' }])
  const connect = (index: number) => {
    const { child, secret } = spawned[index] ?? { child: 0, secret: '' }
    const got: ToPool[] = []
    const channel = {
      send: (message: ToPool) => got.push(message),
      flush: () => undefined,
      queuedBytes: () => 0,
      onDrain: () => undefined,
      close: () => undefined
    }
    const ears = pool.connect(child, secret, channel)
    const say = (token: number, facts: Partial<DoneMessage> = {}): void =>
      ears?.onMessage({ ...done(token), ...facts })
    const given = () => got.flatMap((message) => (message.type === 'run' ? [message.attempt.token] : []))
    const started = (token: number): void => ears?.onMessage({ type: 'started', token, startedAt: 1 })
    const close = (): void => ears?.onClose()
    return { child, say, given, started, close }
  }
  const begin = (token: number): void => {
    const spec = {
      key: token,
      incarnation: 1,
      startToCloseMs: 0,
      killGraceMs: 1000,
      onLeaseLoss: 'kill'
    } as const
    table.begin(spec, 1)
    pool.launch(start(token))
  }
  return { pool, table, exits, killed, connect, begin }
}

function start(token: number): AttemptStart {
  const facts = { token, taskId: token, attempt: 1, incarnation: 1, name: 't', executor: 'js', handler: 'h' }
  const rest = { params: NO_BYTES, input: NO_BYTES, needs: {}, startToCloseMs: 0, killGraceMs: 1000 }
  return { ...facts, ...rest, isolation: 'process', onLeaseLoss: 'kill' } as unknown as AttemptStart
}

function done(token: number): DoneMessage {
  const times = { startedAt: 1, finishedAt: 1, runMs: 0, residentBytes: 0 }
  const common = { result: NO_BYTES, error: undefined, aborted: false, dirty: false }
  return { type: 'done', token, outcome: 'succeeded', ...times, ...common }
}

/** Makes the handler brisk through the process. */
function warmUp({ begin }: ReturnType<typeof setUp>, child: ReturnType<ReturnType<typeof setUp>['connect']>) {
  for (let token = 1; token <= 32; token++) {
    begin(token)
    child.say(token)
  }
}

test('an attempt that was told to stop is not handed out again when it comes back from a recall', () => {
  const cluster = setUp(2)
  const [one] = [cluster.connect(0)]
  warmUp(cluster, one)
  cluster.begin(101)
  one.started(101)
  cluster.begin(102)
  expect(one.given().slice(-2)).toEqual([101, 102])
  const two = cluster.connect(1)
  cluster.pool.perform(cluster.table.stop(102, 'cancel', 1))
  one.say(102, { outcome: 'recalled' })
  expect(two.given()).toEqual([])
  expect(cluster.exits.at(-1)).toMatchObject({ token: 102, outcome: 'not-started' })
  cluster.pool.close()
})

test('an attempt that comes back from a recall goes to a free process', () => {
  const cluster = setUp(2)
  const one = cluster.connect(0)
  warmUp(cluster, one)
  for (const token of [101, 102]) cluster.begin(token)
  const two = cluster.connect(1)
  one.say(102, { outcome: 'recalled' })
  expect(two.given()).toEqual([102])
  cluster.pool.close()
})

test('a process that has grown too large gets no more attempts, and is ended when its hands are empty', () => {
  const cluster = setUp(1)
  const one = cluster.connect(0)
  warmUp(cluster, one)
  for (const token of [101, 102]) cluster.begin(token)
  one.say(101, { residentBytes: 1001 })
  cluster.begin(103)
  expect(one.given().slice(-2)).toEqual([101, 102])
  one.say(102)
  expect(cluster.killed).toEqual([one.child])
  cluster.pool.close()
})

/** What came of two attempts that a process held, the first of them begun, when it died. */
function endsOfDeadProcess(short: number): unknown[] {
  const cluster = setUp(1)
  const one = cluster.connect(0)
  for (let token = 1; token <= short; token++) {
    cluster.begin(token)
    one.say(token)
  }
  for (const token of [5001, 5002]) cluster.begin(token)
  one.started(5001)
  cluster.exits.length = 0
  const { child } = one
  one.close()
  cluster.pool.onSupervisorMessage({
    type: 'child-gone',
    child,
    code: 1,
    signal: null,
    lapsed: false,
    peakMemoryBytes: 0
  })
  cluster.pool.close()
  return cluster.exits.map(({ token, outcome }) => [token, outcome])
}

test('what waits in a process that dies has not started, as long as each start is announced', () => {
  expect(endsOfDeadProcess(40)).toEqual([
    [5001, 'failed'],
    [5002, 'not-started']
  ])
})

test('what a process held unannounced when it died may have run, and has failed', () => {
  expect(endsOfDeadProcess(1000)).toEqual([
    [5001, 'failed'],
    [5002, 'failed']
  ])
})
