/** `dtss policy list | set NAME|auto | compare [NAMES]`: which policy places tasks, and what others would have made of the same work. */
import type { Command } from 'commander'
import { COMPARED_TASKS, DEFAULT_COMPARED_TASKS, FEWEST_COMPARED } from '../../../base/wire/optimizer.ts'
import type { PolicyComparison, PolicyView } from '../../../client/index.ts'
import { connect, connectToLeader, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatAge, formatDuration, formatPercent, formatTable } from '../format.ts'
import { parseInteger } from '../start-options.ts'

interface CompareOptions extends ConnectionOptions {
  readonly tasks?: number
}

export function define(command: Command, context: CliContext): void {
  connectionOptions(
    command.command('list').description('the policies there are, and the one that places tasks')
  ).action(async (options: ConnectionOptions) => {
    const client = await connectToLeader(context, options)
    show(context, await client.policy({ consistency: 'stale', signal: context.signal }), options)
  })
  connectionOptions(
    command
      .command('set')
      .description('have another policy place tasks')
      .argument('<name>', 'its name, or auto: the leader chooses')
  ).action(async (name: string, options: ConnectionOptions) => {
    const policy = await connect(context, options).setPolicy(name, { signal: context.signal })
    if (options.json === true) printJson(context, { ok: true, policy })
    else print(context, `policy ${policy.current}${modeOf(policy)}`)
  })
  connectionOptions(
    command
      .command('compare')
      .description("replay the cluster's recent history under policies")
      .argument('[names]', 'names with commas between (default: all)')
      .option(
        '--tasks <count>',
        `how many of the last ended tasks are replayed, by arrival: ${FEWEST_COMPARED} to ${COMPARED_TASKS} ` +
          `(default: ${DEFAULT_COMPARED_TASKS}), and at most three quarters of them`,
        parseCompared
      )
  ).action(async (names: string | undefined, options: CompareOptions) => {
    const comparison = await connect(context, options).comparePolicies(
      {
        ...(names === undefined ? {} : { policies: names.split(',') }),
        ...(options.tasks === undefined ? {} : { tasks: options.tasks })
      },
      { signal: context.signal }
    )
    if (options.json === true) printJson(context, { ok: true, ...comparison })
    else showComparison(context, comparison)
  })
}

/** As many as the server lets through. */
function parseCompared(text: string): number {
  return parseInteger(text, FEWEST_COMPARED, COMPARED_TASKS)
}

function show(context: CliContext, policy: PolicyView, options: ConnectionOptions): void {
  if (options.json === true) {
    printJson(context, { ok: true, policy })
    return
  }
  const rows = policy.available.map(({ name, about }) => [name === policy.current ? '*' : '', name, about])
  for (const line of formatTable(['', 'NAME', 'ABOUT'], rows)) print(context, line)
  print(context, '')
  const since = policy.since === undefined ? '' : `, since ${formatAge(policy.since, context.now())}`
  const { decisions, running } = policy
  const cost =
    decisions === undefined || decisions.count === 0
      ? ''
      : `, ${decisions.count} decisions at ${decisions.p50Us.toFixed(1)} µs (p99 ${decisions.p99Us.toFixed(1)} µs)`
  print(context, `policy ${policy.current}${modeOf(policy)}${since}${cost}`)
  if (policy.lastSwitch !== undefined) {
    const { from, to, reason } = policy.lastSwitch
    print(context, `Changed from ${from} to ${to}: ${reason}`)
  }
  if (running !== undefined && running !== policy.current) {
    print(
      context,
      `The leader runs ${running} instead: ${policy.current} failed there (dtss policy set ${policy.current} tries it again), or is not there.`
    )
  }
}

function modeOf({ mode }: PolicyView): string {
  return mode === 'auto' ? ' (chosen by the leader)' : ''
}

function showComparison(context: CliContext, comparison: PolicyComparison): void {
  const { base, nodes, load, fromAt, toAt, actual, notes = [] } = comparison
  const rows = comparison.policies.map(({ policy, meanJctMs, p95JctMs, boundedSlowdown, gain }) => [
    policy,
    formatDuration(meanJctMs),
    formatDuration(p95JctMs),
    boundedSlowdown.toFixed(2),
    policy === base ? '-' : `${formatPercent(gain.mean)} ${intervalOf(gain)}`
  ])
  for (const line of formatTable(['POLICY', 'MEAN', 'P95', 'SLOWDOWN', 'SAVES'], rows)) print(context, line)
  print(context, '')
  print(
    context,
    `${unitsOf(comparison)} of ${formatDuration(toAt - fromAt)} on ${nodes} nodes, load ${load.toFixed(2)}; SAVES is the share of the mean ` +
      `completion time against ${base}, with its 95 % interval`
  )
  if (actual !== undefined) print(context, recordOf(actual, comparison))
  for (const note of notes) print(context, `Note: ${note}`)
}

/** Where some have not ended, the table is of others as well: what the replay makes of those that have stands beside their record. */
function recordOf(
  { meanJctMs, replayedMeanJctMs, policy }: NonNullable<PolicyComparison['actual']>,
  { base, drawn = 0 }: PolicyComparison
): string {
  const who = drawn > 0 ? 'those that have ended' : 'they'
  const under = policy === undefined ? '' : ` under ${policy}`
  const replayed =
    drawn > 0 && replayedMeanJctMs !== undefined
      ? `, and ${formatDuration(replayedMeanJctMs)} in the replay under ${base}`
      : ''
  return `In the mean ${who} really took ${formatDuration(meanJctMs)}${under}${replayed}`
}

function intervalOf({ ci95: { low, high } }: PolicyComparison['policies'][number]['gain']): string {
  return low === null || high === null ? '[?]' : `[${formatPercent(low)}, ${formatPercent(high)}]`
}

/** A DAG counts once: `216 tasks and 1 DAG`. */
function unitsOf({ tasks, units = { tasks, dags: 0 } }: PolicyComparison): string {
  const counts = [
    { count: units.tasks, of: 'task' },
    { count: units.dags, of: 'DAG' }
  ]
  const some = counts.filter(({ count }) => count > 0)
  return some.map(({ count, of }) => `${count} ${of}${count === 1 ? '' : 's'}`).join(' and ')
}
