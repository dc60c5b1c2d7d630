import { expect, test } from 'vitest'
import { AppError } from '../../../../base/errors.ts'
import type { Learning } from '../../../../node/optimizer/learning.ts'
import { createOptimizerPort } from '../../../../node/wiring/optimizer-port.ts'
import type { NodeRuntime } from '../../../../runtime/node-runtime.ts'
import type { Draft } from '../../../../runtime/proposals/forwarder.ts'
import type { Command } from '../../../../scheduler/commands.ts'
import { Machine } from '../../../helpers/scheduler.ts'

/** The port of a node whose log takes what is proposed at once, with models 1 to `count`, the newest of which serves. */
function portWithModels(count: number) {
  const machine = new Machine().withNodes(1)
  const runtime = {
    state: machine.state,
    propose: (draft: Draft) => {
      const [event] = machine.apply({ ...draft, origin: machine.nextOrigin() } as Command).slice(-1)
      if (event?.type !== 'outcome') throw new Error('no outcome')
      const { outcome } = event
      if (!outcome.ok) return Promise.reject(new AppError(outcome.code, outcome.message))
      return Promise.resolve(outcome.value)
    }
  }
  const port = createOptimizerPort(runtime as unknown as NodeRuntime, {} as unknown as Learning)
  const nothing = new Uint8Array(1)
  for (let version = 1; version <= count; version++) {
    machine.now++
    machine.apply({ type: 'publish-model', weights: nothing, trainedOn: 1, evaluation: nothing })
    machine.apply({ type: 'judge-model', version, verdict: 'promote', toPrevious: false, reason: '' })
  }
  const states = (): string[] => port.models().map(({ version, state }) => `${version} ${state}`)
  return { port, states }
}

test('a roll-back that names its version is safe to repeat, one that names none takes the next one back', async () => {
  const { port, states } = portWithModels(3)
  for (let times = 2; times > 0; times--) {
    await port.rollBack(3, 'an operator')
    expect(states()).toEqual(['3 rolled-back', '2 serving', '1 retired'])
  }
  await expect(port.rollBack(1, 'an operator')).rejects.toMatchObject({ code: 'MODEL_STATE_INVALID' })
  await port.rollBack(undefined, 'an operator')
  expect(states()).toEqual(['3 rolled-back', '2 rolled-back', '1 serving'])
  await port.rollBack(undefined, 'an operator')
  await expect(port.rollBack(undefined, 'an operator')).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' })
})
