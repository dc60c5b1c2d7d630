/**
 * `set-settings`: replaces the named settings, all or none.
 *
 * 1. A command that names the policy or its mode and expects no choice is an operator's. Each is a choice with a number of its own, and from
 *    then on earlier returns bind no leader, also when what was asked for is in use already.
 * 2. The guard's changes name the choice that they rest on: one that an operator's choice has overtaken on its way changes nothing.
 */
import { LIMITS } from '../../base/limits.ts'
import { minute } from '../../base/units.ts'
import type { SetSettingsCommand } from '../commands.ts'
import type { Outcome, Settings } from '../types.ts'
import type { ApplyContext } from './context.ts'
import { DONE, rejected } from './context.ts'

const BOUNDS = {
  /** Below it, heartbeats of a loaded machine miss their lease; above it a dead node holds its tasks too long. */
  leaseMs: [500, 10 * minute],
  historyTasks: [1, LIMITS.historyTasks],
  historyMs: [1, Number.MAX_SAFE_INTEGER]
} as const

/** A name that no node knows is accepted: nodes of another version may know it, and a leader that does not falls back. */
const POLICY_NAME = /^[A-Za-z0-9][A-Za-z0-9._+()-]*$/

export function applySettings(ctx: ApplyContext, command: SetSettingsCommand): Outcome {
  const { state } = ctx
  const { settings, expectedPolicyChoice, reason = '' } = command
  const { policyChoice } = state.settings
  if (expectedPolicyChoice !== undefined && policyChoice !== expectedPolicyChoice)
    return rejected('INVALID_REQUEST', `policyChoice: got ${policyChoice}, expected ${expectedPolicyChoice}`)
  if (reason.length > LIMITS.modelReasonLength)
    return rejected(
      'LIMIT_EXCEEDED',
      `reason: got a length of ${reason.length}, expected at most ${LIMITS.modelReasonLength}`
    )
  const chosen = isChoice(command)
  const next: Settings = {
    ...state.settings,
    ...settings,
    policyChoice: policyChoice + Number(chosen),
    policyChange: changeAfter(ctx, command, chosen)
  }
  for (const name of ['leaseMs', 'historyTasks', 'historyMs'] as const) {
    const [least, most] = BOUNDS[name]
    const value = next[name]
    if (!Number.isSafeInteger(value) || value < least || value > most) {
      return rejected('LIMIT_EXCEEDED', `${name}: got ${value}, expected an integer in [${least}, ${most}]`)
    }
  }
  if (next.policy.length > LIMITS.nameLength || !POLICY_NAME.test(next.policy)) {
    const expected = `1 to ${LIMITS.nameLength} letters, digits and . _ + - ( ), a letter or digit first`
    return rejected('LIMIT_EXCEEDED', `policy: got "${next.policy.slice(0, 40)}", expected ${expected}`)
  }
  state.settings = next
  state.changes.settings = true
  ctx.events.push({ type: 'settings-changed', chosen })
  return DONE
}

/** Whether an operator chose the policy or its mode. */
function isChoice({ settings, expectedPolicyChoice }: SetSettingsCommand): boolean {
  return expectedPolicyChoice === undefined && (settings.policy ?? settings.policyMode) !== undefined
}

/** The record of the last change of the policy: a new one, or the old one, without its returns when an operator chose. */
function changeAfter(
  { state }: ApplyContext,
  { settings, reason = '', returns = 0 }: SetSettingsCommand,
  chosen: boolean
): Settings['policyChange'] {
  const { policy, policyChange } = state.settings
  if (settings.policy !== undefined && settings.policy !== policy)
    return { at: state.time, from: policy, to: settings.policy, reason, returns }
  return policyChange === undefined || !chosen ? policyChange : { ...policyChange, returns: 0 }
}
