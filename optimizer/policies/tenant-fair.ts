/**
 * Fair sharing among tenants: the tenant with the fewest running tasks per weight goes first (max-min fairness of slots,
 * as Hadoop's fair scheduler: Zaharia et al., "Delay Scheduling", EuroSys 2010, §2).
 */
import type { Policy } from '../../scheduler/policy.ts'
import { firstFit } from './node-rules.ts'
import { queuePolicy } from './queue-policy.ts'
import type { NodeRule } from './queue-policy.ts'

export interface TenantFairOptions {
  readonly name?: string
  readonly node?: NodeRule
  /** A tenant's share in proportion to others'; > 0. Default: all 1. */
  readonly weightOf?: (tenant: string) => number
}

/** Fair (or weighted fair) sharing among tenants. */
export function tenantFair(options: TenantFairOptions = {}): Policy {
  const { name = 'tenant-fair', node = firstFit, weightOf = () => 1 } = options
  const running = new Map<string, number>()
  const change = (tenant: string, by: number): void => {
    running.set(tenant, Math.max(0, (running.get(tenant) ?? 0) + by))
  }
  return queuePolicy({
    name,
    node,
    order: {
      classOf: (task) => task.tenant,
      score: (key) => (running.get(String(key)) ?? 0) / weightOf(String(key)),
      onPlaced: (task, queues) => {
        change(task.tenant, 1)
        queues.rescore(task.tenant)
      },
      onEnded: ({ task }, queues) => {
        change(task.tenant, -1)
        queues.rescore(task.tenant)
      },
      reset: (view) => {
        running.clear()
        for (const attempt of view.running()) change(view.task(attempt.taskId)?.tenant ?? '', 1)
      }
    }
  })
}
