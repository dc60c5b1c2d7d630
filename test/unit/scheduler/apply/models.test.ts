import fc from 'fast-check'
import { expect, test } from 'vitest'
import { LIMITS } from '../../../../base/limits.ts'
import type { JudgeModelCommand } from '../../../../scheduler/commands.ts'
import { drainChanges, loadState, recomputeChecksum, stateChecksum } from '../../../../scheduler/records.ts'
import type { Outcome } from '../../../../scheduler/types.ts'
import { Machine, types } from '../../../helpers/scheduler.ts'

class Models extends Machine {
  publish(weights = new Uint8Array([1])): Outcome {
    this.now += 1
    const evaluation = new Uint8Array([123, 125])
    return this.outcome({
      type: 'publish-model',
      origin: this.nextOrigin(),
      weights,
      trainedOn: 9,
      evaluation
    })
  }

  judge(
    version: number,
    verdict: JudgeModelCommand['verdict'],
    extra: Partial<Pick<JudgeModelCommand, 'expected' | 'toPrevious' | 'evaluation' | 'reason'>> = {}
  ): Outcome {
    this.now += 1
    const judged = { version, verdict, toPrevious: false, reason: 'said so', ...extra }
    return this.outcome({ type: 'judge-model', origin: this.nextOrigin(), ...judged })
  }

  outcome(command: Parameters<Machine['apply']>[0]): Outcome {
    const found = this.apply(command).find((event) => event.type === 'outcome')
    if (found === undefined) throw new Error('no outcome')
    return found.outcome
  }

  /** States by version: `1 retired, 2 serving`. */
  states(): string {
    return [...this.state.models.values()].map(({ version, state }) => `${version} ${state}`).join(', ')
  }
}

const world = (): Models => new Models().withNodes(1)

test('a published model gets the next version and is the shadow; the shadow before it retires', () => {
  const models = world()
  expect(models.publish()).toEqual({ ok: true, value: { type: 'model', version: 1 } })
  expect(models.publish()).toEqual({ ok: true, value: { type: 'model', version: 2 } })
  expect(models.states()).toBe('1 retired, 2 shadow')
})

test('promotion retires the serving model, and a roll-back brings it back', () => {
  const models = world()
  models.publish()
  models.judge(1, 'promote')
  models.publish()
  models.judge(2, 'promote')
  expect(models.states()).toBe('1 retired, 2 serving')
  models.judge(2, 'roll-back', { toPrevious: true, reason: 'drift' })
  expect(models.states()).toBe('1 serving, 2 rolled-back')
  expect(models.state.models.get(2)?.reason).toBe('drift')
})

test('a roll-back without a predecessor, or not to it, leaves none that serves', () => {
  const models = world()
  models.publish()
  models.publish()
  models.judge(2, 'promote')
  models.judge(2, 'roll-back', { toPrevious: true })
  expect(models.states()).toBe('1 retired, 2 rolled-back')
  models.judge(1, 'promote')
  models.judge(2, 'promote')
  models.judge(2, 'roll-back')
  expect(models.states()).toBe('1 retired, 2 rolled-back')
})

test('a verdict on another state than the judge saw is refused and changes nothing', () => {
  const models = world()
  models.publish()
  expect(models.judge(1, 'promote', { expected: 'serving' })).toMatchObject({ code: 'MODEL_STATE_INVALID' })
  expect(models.judge(1, 'roll-back')).toMatchObject({ code: 'MODEL_STATE_INVALID' })
  expect(models.judge(7, 'reject')).toMatchObject({ code: 'MODEL_NOT_FOUND' })
  expect(models.judge(1, 'reject', { reason: 'x'.repeat(501) })).toMatchObject({ code: 'LIMIT_EXCEEDED' })
  expect(models.states()).toBe('1 shadow')
  expect(models.judge(1, 'reject', { evaluation: new Uint8Array([9]) })).toMatchObject({ ok: true })
  expect(models.judge(1, 'reject')).toMatchObject({ code: 'MODEL_STATE_INVALID' })
  expect(models.state.models.get(1)?.evaluation).toEqual(new Uint8Array([9]))
})

test('weights beyond the bound are refused, and a refusal costs no version', () => {
  const models = world()
  expect(models.publish(new Uint8Array(LIMITS.modelBytes + 1))).toMatchObject({ code: 'LIMIT_EXCEEDED' })
  expect(models.publish(new Uint8Array(0))).toMatchObject({ code: 'LIMIT_EXCEEDED' })
  expect(models.publish(new Uint8Array(LIMITS.modelBytes))).toMatchObject({ value: { version: 1 } })
})

test('without an origin a refusal is an event', () => {
  const judged = {
    type: 'judge-model',
    version: 1,
    verdict: 'reject',
    toPrevious: false,
    reason: ''
  } as const
  expect(types(world().apply(judged))).toEqual(['command-refused'])
})

test('a drain writes a dropped model no more', () => {
  const models = world()
  for (let count = 0; count < LIMITS.keptModels; count++) models.publish()
  drainChanges(models.state)
  models.publish()
  expect(drainChanges(models.state).deletes.map((key) => key.slice(0, 2))).toContain('sm')
  expect(recomputeChecksum(models.state)).toBe(stateChecksum(models.state))
})

const steps = fc.array(
  fc.record({
    step: fc.constantFrom('publish', 'promote', 'reject', 'roll-back'),
    back: fc.nat({ max: 5 }),
    toPrevious: fc.boolean()
  }),
  { maxLength: 60 }
)

test('whatever is asked: one serves, one is a shadow, few are kept, and the predecessor is always there', () => {
  fc.assert(
    fc.property(steps, (asked) => {
      const models = world()
      /** Versions that served, in the order in which they stopped. */
      let predecessors: number[] = []
      for (const { step, back, toPrevious } of asked) {
        const before = serving(models)
        if (step === 'publish') models.publish()
        else models.judge(Math.max(1, models.state.nextModelVersion - 1 - back), step, { toPrevious })
        const all = [...models.state.models.values()]
        expect(all.filter(({ state }) => state === 'serving').length).toBeLessThan(2)
        expect(all.filter(({ state }) => state === 'shadow').length).toBeLessThan(2)
        expect(all.length).toBeLessThanOrEqual(LIMITS.keptModels)
        const after = serving(models)
        predecessors = predecessors.filter((version) => version !== after)
        if (before !== undefined && before !== after) {
          if (models.state.models.get(before)?.state === 'retired') predecessors.push(before)
        }
        const last = predecessors.at(-1)
        if (last !== undefined) expect(models.state.models.get(last)?.state).toBe('retired')
      }
      const { puts } = drainChanges(models.state)
      const resumed = loadState(puts.filter(({ key }) => key.startsWith('s')))
      expect(resumed.models).toEqual(models.state.models)
    }),
    { numRuns: 200 }
  )
})

function serving(models: Models): number | undefined {
  return [...models.state.models.values()].find(({ state }) => state === 'serving')?.version
}
