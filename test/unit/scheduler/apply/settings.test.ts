import { expect, test } from 'vitest'
import { LIMITS } from '../../../../base/limits.ts'
import type { SetSettingsCommand } from '../../../../scheduler/commands.ts'
import { Machine } from '../../../helpers/scheduler.ts'

test('a change of policy is remembered with its reason; a change of anything else is none', () => {
  const machine = new Machine().withNodes(1)
  expect(machine.state.settings).toMatchObject({ policyMode: 'fixed', policyChange: undefined })
  machine.apply({ type: 'set-settings', settings: { policyMode: 'auto', policy: 'least-loaded' } })
  expect(machine.state.settings).toMatchObject({ policyMode: 'auto', policyChange: undefined })
  machine.apply({
    type: 'set-settings',
    settings: { policy: 'learned' },
    expectedPolicyMode: 'auto',
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

test('whoever names the policy or its mode and expects none is an operator, and clears the returns', () => {
  const choices: [Partial<SetSettingsCommand>, number][] = [
    [{ settings: { modelMode: 'frozen' } }, 3],
    [{ settings: { policy: 'learned' }, expectedPolicyMode: 'auto' }, 3],
    [{ settings: { policyMode: 'auto' } }, 0],
    [{ settings: { policyMode: 'fixed' } }, 0],
    [{ settings: { policy: 'learned' } }, 0]
  ]
  for (const [command, returns] of choices) {
    const machine = new Machine().withNodes(1)
    machine.apply(
      { type: 'set-settings', settings: { policyMode: 'auto' } },
      { type: 'set-settings', settings: { policy: 'learned' }, expectedPolicyMode: 'auto', returns: 3 }
    )
    const before = machine.state.settings.policyChange
    const events = machine.apply({ type: 'set-settings', settings: {}, ...command })
    expect(machine.state.settings.policyChange).toEqual({ ...before, returns })
    expect(events).toEqual([{ type: 'settings-changed', chosen: returns === 0 }])
  }
})

test('a change that expects another mode, or says too much, changes nothing', () => {
  const machine = new Machine().withNodes(1)
  const before = machine.state.settings
  machine.apply(
    { type: 'set-settings', settings: { policy: 'learned' }, expectedPolicyMode: 'auto' },
    {
      type: 'set-settings',
      settings: { policy: 'learned' },
      reason: 'x'.repeat(LIMITS.modelReasonLength + 1)
    }
  )
  expect(machine.state.settings).toBe(before)
})
