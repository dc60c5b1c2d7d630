import { AppError } from '../../base/errors.ts'
import type { PolicyFactory } from '../policy.ts'
/** The policies that need no optimizer, by name. Wiring may add more. */
export const BUILT_IN_POLICIES: ReadonlyMap<string, PolicyFactory> = new Map()
/** The factory of a policy, `extra` first. Throws CONFIG_INVALID for an unknown name. */
export function policyFactory(
  name: string,
  extra: ReadonlyMap<string, PolicyFactory> = new Map()
): PolicyFactory {
  const factory = extra.get(name) ?? BUILT_IN_POLICIES.get(name)
  if (factory === undefined) throw new AppError('CONFIG_INVALID', `policy: got "${name}"`)
  return factory
}
