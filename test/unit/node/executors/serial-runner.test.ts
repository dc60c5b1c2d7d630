import { expect, test } from 'vitest'
import type { DoneMessage, FromPool, JsAttempt } from '../../../../node/executors/js/protocol.ts'
import { createSerialRunner } from '../../../../node/executors/js/serial-runner.ts'

const NO_BYTES = new Uint8Array(0)

function attempt(token: number): JsAttempt {
  return { token, taskId: token, attempt: 1, name: 't', handler: 'h', input: NO_BYTES, needs: [] }
}

/** A serial runner over one whose attempts end when the test says so. */
function setUp() {
  const sent: FromPool[] = []
  const begun: number[] = []
  const aborted: number[] = []
  let tell: (message: FromPool) => void = () => undefined
  const runner = createSerialRunner(
    (message) => sent.push(message),
    (send) => {
      tell = send
      return {
        setHandlers: () => undefined,
        run: ({ token }, notAfter) => {
          if (notAfter === 0) send(done(token, { outcome: 'not-started' }))
          else begun.push(token)
        },
        abort: (token) => aborted.push(token)
      }
    }
  )
  const end = (token: number, facts: Partial<DoneMessage> = {}): void => {
    tell(done(token, facts))
  }
  const said = () =>
    sent.flatMap((message) => (message.type === 'done' ? [[message.token, message.outcome] as const] : []))
  return { runner, begun, aborted, end, said }
}

function done(token: number, facts: Partial<DoneMessage>): DoneMessage {
  const times = { startedAt: 1, finishedAt: 1, runMs: 0, residentBytes: 0 }
  const common = { result: NO_BYTES, error: undefined, aborted: false, dirty: false }
  return { type: 'done', token, outcome: 'succeeded', ...times, ...common, ...facts }
}

test('attempts run one after the other, in the order in which they came', () => {
  const { runner, begun, end } = setUp()
  for (const token of [1, 2, 3]) runner.run(attempt(token), 1)
  expect([begun, runner.queued]).toEqual([[1], 2])
  end(1)
  end(2)
  expect([begun, runner.queued]).toEqual([[1, 2, 3], 0])
})

test('an attempt whose lease is over does not hold up the next', () => {
  const { runner, begun, end, said } = setUp()
  runner.run(attempt(1), 1)
  runner.run(attempt(2), 0)
  runner.run(attempt(3), 1)
  end(1)
  expect(begun).toEqual([1, 3])
  expect(said()).toContainEqual([2, 'not-started'])
})

test('an attempt that waits is never begun after it was told to stop; the one that runs is told', () => {
  const { runner, begun, aborted, end, said } = setUp()
  for (const token of [1, 2, 3]) runner.run(attempt(token), 1)
  runner.abort(2, 'cancel')
  runner.abort(1, 'cancel')
  end(1)
  expect(begun).toEqual([1, 3])
  expect(aborted).toEqual([1])
  expect(said()[0]).toEqual([2, 'not-started'])
})

test('a recall gives back what waits and leaves what runs', () => {
  const { runner, begun, end, said } = setUp()
  for (const token of [1, 2, 3]) runner.run(attempt(token), 1)
  runner.recall()
  expect(said()).toEqual([
    [2, 'recalled'],
    [3, 'recalled']
  ])
  end(1)
  expect(begun).toEqual([1])
  runner.run(attempt(4), 1)
  expect(begun).toEqual([1, 4])
})

test('nothing begins in a process that an attempt left processes behind in', () => {
  const { runner, begun, end, said } = setUp()
  for (const token of [1, 2]) runner.run(attempt(token), 1)
  end(1, { dirty: true })
  runner.run(attempt(3), 1)
  expect(begun).toEqual([1])
  expect(said().slice(1)).toEqual([
    [2, 'recalled'],
    [3, 'recalled']
  ])
})
