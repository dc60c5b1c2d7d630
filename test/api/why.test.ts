import { expect, test } from 'vitest'
import { whyLive } from '../../api/why.ts'
import { taskId } from '../../base/ids.ts'
import { timestampMs } from '../../base/units.ts'
import { explain } from '../../scheduler/explain.ts'
import { Machine, START, failure, spec } from '../helpers/scheduler.ts'

function why(machine: Machine, id: number): ReturnType<typeof whyLive> {
  return whyLive(machine.task(id)!, explain(machine.state, taskId(id)), undefined, undefined, 'fifo')
}

const at = (ms: number): string => new Date(START + ms).toISOString()

test('a task that is not to start yet says whether its user wants it so or a failed attempt', () => {
  const machine = new Machine().withNodes(1)
  machine.submit([
    spec({ retry: { ...spec().retry, maxAttempts: 5 } }),
    spec({ notBefore: timestampMs(START + 1000) })
  ])
  expect(why(machine, 2)).toMatchObject({
    reason: 'delayed',
    message: `it is not to start before ${at(1000)}`
  })
  for (const next of [2, 3]) {
    machine.complete(1, machine.place(1, 1), { outcome: 'failed', error: failure }, 20_000)
    expect(why(machine, 1)).toMatchObject({
      reason: 'delayed',
      message: `it backs off until ${at(20_000 * (next - 1))} before its retry (attempt ${next} of 5), after EXIT_CODE: exit code 1`
    })
    machine.now += 20_000
    machine.apply({ type: 'wake' })
  }
})
