/** `dtss why <id>`: why a task is where it is, which nodes could run it, and what its prediction is made of. */
import type { Command } from 'commander'
import type { Why } from '../../../client/index.ts'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatDuration, formatPairs, formatPercent, formatTable } from '../format.ts'

export function define(command: Command, context: CliContext): void {
  connectionOptions(command.argument('<id>', 'a task id such as t-42')).action(
    async (id: string, options: ConnectionOptions) => {
      const why = await connect(context, options).why(id, { signal: context.signal })
      if (options.json === true) printJson(context, { ok: true, why })
      else show(context, why)
    }
  )
}

function show(context: CliContext, why: Why): void {
  for (const line of formatPairs(pairsOf(why))) print(context, line)
  if (why.nodes !== undefined) {
    const rows = why.nodes.map(({ node, verdict, medianMs }) => [
      String(node),
      verdict,
      medianMs === undefined ? '-' : formatDuration(medianMs)
    ])
    print(context, '')
    for (const line of formatTable(['NODE', 'VERDICT', 'WOULD TAKE'], rows)) print(context, line)
  }
  showContributions(context, why)
}

/** From tasks of all kinds to this one, as far as what is known of it makes a difference. */
function showContributions(context: CliContext, { typicalMs, contributions = [] }: Why): void {
  if (typicalMs === undefined) return
  print(context, '')
  if (contributions.length === 0) {
    print(context, `nothing known of it tells it from tasks of all kinds: ${formatDuration(typicalMs)}`)
    return
  }
  const ownMs = contributions.reduce((ms, { factor }) => ms * factor, typicalMs)
  const rows = [
    ['tasks of all kinds', formatDuration(typicalMs)],
    ...contributions.map(({ feature, factor }) => [feature, `× ${factor.toPrecision(3)}`]),
    ['this task', formatDuration(ownMs)]
  ]
  for (const line of formatTable(['KNOWN', 'MEDIAN'], rows)) print(context, line)
}

function pairsOf(why: Why): (readonly [string, string | undefined])[] {
  const { predicted, quantiles = [], experts = [] } = why
  return [
    ['task', `${why.id}  ${why.status}`],
    ['because', why.message],
    ['waits for', why.waitingOn?.join(', ')],
    ['policy', why.policy],
    [
      'predicted',
      quantiles.map(({ q, ms }) => `p${Math.round(q * 100)} ${formatDuration(ms)}`).join('  ') || undefined
    ],
    ['by', predicted?.by],
    [
      'fails',
      predicted === undefined ? undefined : `${formatPercent(predicted.failureProbability)} of attempts`
    ],
    ['trust', experts.map(({ name, weight }) => `${name} ${formatPercent(weight)}`).join(', ') || undefined],
    ...why.alarms.map(({ message }): readonly [string, string] => ['alarm', message])
  ]
}
