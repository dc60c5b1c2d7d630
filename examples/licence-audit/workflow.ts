/**
 * The licence audit as a DAG: list the installed packages, audit them in shards, merge to a report.
 *
 *   list ──► shard-1 … shard-8 ──► report
 */
import type { TaskRequest } from '../../client/index.ts'
import type { ExampleWorkflow } from '../../node/dev/examples.ts'
import type { Findings } from './audit.ts'

const SHARDS = 8

function tasks(project: string): TaskRequest[] {
  const shards = Array.from({ length: SHARDS }, (_, shard): TaskRequest => ({
    name: `shard-${shard + 1}`,
    executor: 'js',
    handler: 'licence-audit.shard',
    input: { shard, shards: SHARDS },
    needs: ['list']
  }))
  return [
    { name: 'list', executor: 'js', handler: 'licence-audit.list', input: { project } },
    ...shards,
    {
      name: 'report',
      executor: 'js',
      handler: 'licence-audit.report',
      needs: shards.map(({ name }) => name ?? '')
    }
  ]
}

function describe(result: unknown): string[] {
  const { packages, licences, withoutLicence, largest } = result as Findings
  return [
    `${packages} packages`,
    ...Object.entries(licences).map(([licence, count]) => `  ${String(count).padStart(5)}  ${licence}`),
    withoutLicence.length === 0
      ? 'every package states a licence or carries one that is known'
      : `without a known licence: ${withoutLicence.join(', ')}`,
    'largest:',
    ...largest.map(
      ({ name, version, bytes }) => `  ${(bytes / 1e6).toFixed(1).padStart(6)} MB  ${name}@${version}`
    )
  ]
}

export const workflow: ExampleWorkflow = { tasks, resultOf: 'report', describe }
