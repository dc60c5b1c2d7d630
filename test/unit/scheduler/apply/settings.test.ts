import { expect, test } from 'vitest'
import { LIMITS } from '../../../../base/limits.ts'
import type { SetSettingsCommand } from '../../../../scheduler/commands.ts'
import { Machine, outcomeOf } from '../../../helpers/scheduler.ts'

test('a change of policy is remembered with its reason; a change of anything else is none', () => {
  const machine = new Machine().withNodes(1)
  expect(machine.state.settings).toMatchObject({ policyMode: 'fixed', policyChange: undefined })
  machine.apply({ type: 'set-settings', settings: { policyMode: 'auto', policy: 'least-loaded' } })
  expect(machine.state.settings).toMatchObject({ policyMode: 'auto', policyChange: undefined })
  machine.apply({
    type: 'set-settings',
    settings: { policy: 'learned' },
    expectedPolicyChoice: 1,
    reason: 'faster',
    returns: 2
  })
  const change = { at: machine.state.time, from: 'least-loaded', to: 'learned', reason: 'faster', returns: 2 }
  expect(machine.state.settings.policyChange).toEqual(change)
  machine.apply({ type: 'set-settings', settings: { modelMode: 'frozen' } })
  expect(machine.state.settings).toMatchObject({ modelMode: 'frozen', policyChange: change })
  machine.apply({ type: 'set-settings', settings: { policy: 'fifo' } })
  expect(machine.state.settings.policyChange?.returns).toBe(0)
})

test('whoever names the policy or its mode and expects no choice is an operator: a choice of its own, without returns', () => {
  const choices: [Partial<SetSettingsCommand>, number][] = [
    [{ settings: { modelMode: 'frozen' } }, 3],
    [{ settings: { policy: 'learned' }, expectedPolicyChoice: 1 }, 3],
    [{ settings: { policyMode: 'auto' } }, 0],
    [{ settings: { policyMode: 'fixed' } }, 0],
    [{ settings: { policy: 'learned' } }, 0]
  ]
  for (const [command, returns] of choices) {
    const machine = new Machine().withNodes(1)
    machine.apply(
      { type: 'set-settings', settings: { policyMode: 'auto' } },
      { type: 'set-settings', settings: { policy: 'learned' }, expectedPolicyChoice: 1, returns: 3 }
    )
    const before = machine.state.settings.policyChange
    const events = machine.apply({ type: 'set-settings', settings: {}, ...command })
    expect(machine.state.settings.policyChange).toEqual({ ...before, returns })
    expect(events).toEqual([{ type: 'settings-changed', chosen: returns === 0 }])
    expect(machine.state.settings.policyChoice).toBe(returns === 0 ? 2 : 1)
  }
})

test('a change that expects a choice that is yet to come, or says too much, changes nothing', () => {
  const machine = new Machine().withNodes(1)
  const before = machine.state.settings
  machine.apply(
    { type: 'set-settings', settings: { policy: 'learned' }, expectedPolicyChoice: 1 },
    {
      type: 'set-settings',
      settings: { policy: 'learned' },
      reason: 'x'.repeat(LIMITS.modelReasonLength + 1)
    }
  )
  expect(machine.state.settings).toBe(before)
})

test.each<[string, SetSettingsCommand['settings']]>([
  ['the choice to the leader anew', { policyMode: 'auto' }],
  ['the policy that is in use', { policy: 'learned' }],
  ['another policy', { policy: 'fifo', policyMode: 'fixed' }]
])('a change of the leader is refused after an operator chose %s while it was on its way', (_, settings) => {
  const machine = new Machine().withNodes(1)
  machine.apply({ type: 'set-settings', settings: { policyMode: 'auto', policy: 'learned' } })
  const back: SetSettingsCommand = {
    type: 'set-settings',
    settings: { policy: 'least-loaded' },
    expectedPolicyChoice: machine.state.settings.policyChoice,
    returns: 4,
    reason: 'slower'
  }
  machine.apply({ type: 'set-settings', settings })
  const before = machine.state.settings
  expect(outcomeOf(machine.apply({ ...back, origin: machine.nextOrigin() }))).toEqual({
    ...{ ok: false, code: 'INVALID_REQUEST' },
    message: 'policyChoice: got 2, expected 1'
  })
  expect(machine.state.settings).toBe(before)
  // One that rests on the new choice is taken.
  machine.apply({ ...back, expectedPolicyChoice: 2 })
  expect(machine.state.settings).toMatchObject({ policy: 'least-loaded', policyChoice: 2 })
})
