/** `dtss model …`: the models behind predictions, how good they are, and what an operator may do about them. */
import type { Command } from 'commander'
import type { Client, ModelCalibration, ModelStatus, ModelView } from '../../../client/index.ts'
import { connect, connectToLeader, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { UsageError, print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatAge, formatPairs, formatPercent, formatTable } from '../format.ts'

export function define(command: Command, context: CliContext): void {
  const { signal } = context
  const verb = (name: string, summary: string): Command =>
    connectionOptions(command.command(name).description(summary))
  const change = (name: string, summary: string, make: (client: Client) => Promise<ModelStatus>): void => {
    verb(name, summary).action(async (options: ConnectionOptions) => {
      showMode(context, await make(connect(context, options)), options)
    })
  }
  verb('status', 'what learns and what predicts').action(async (options: ConnectionOptions) => {
    const client = await connectToLeader(context, options)
    const status = await client.modelStatus({ consistency: 'stale', signal })
    if (options.json === true) printJson(context, { ok: true, status })
    else for (const line of formatPairs(statusPairs(status))) print(context, line)
  })
  verb('history', 'the versions that are kept').action(async (options: ConnectionOptions) => {
    const models = await connect(context, options).models({ signal })
    if (options.json === true) {
      printJson(context, { ok: true, models })
      return
    }
    if (models.length === 0) {
      print(context, 'there is no model yet: the leader publishes the first once it has trained')
      return
    }
    const rows = models.map((model) => historyRow(model, context.now()))
    for (const line of formatTable(
      ['VERSION', 'STATE', 'TRAINED ON', 'PUBLISHED', 'CHANGED', 'REASON'],
      rows
    ))
      print(context, line)
  })
  verb('calibration', 'how far predicted quantiles can be believed').action(
    async (options: ConnectionOptions) => {
      const calibration = await connect(context, options).modelCalibration({ signal })
      if (options.json === true) printJson(context, { ok: true, calibration })
      else showCalibration(context, calibration)
    }
  )
  verb('promote', 'have a version serve, whatever the guard says')
    .argument('<version>', 'its number')
    .action(async (text: string, options: ConnectionOptions) => {
      const model = await connect(context, options).promoteModel(versionOf(text), { signal })
      if (options.json === true) printJson(context, { ok: true, model })
      else print(context, `model ${model.version} is ${model.state}`)
    })
  change('freeze', 'nothing changes unless an operator says so', (client) =>
    client.setModelMode('frozen', { signal })
  )
  change('unfreeze', 'models are trained, promoted and rolled back by themselves', (client) =>
    client.setModelMode('auto', { signal })
  )
  verb('rollback', 'the model before the serving one serves again, or none')
    .argument('[version]', 'the number of the one that shall go (default: the one that serves)')
    .action(async (text: string | undefined, options: ConnectionOptions) => {
      const status = await connect(context, options).rollBackModel({
        signal,
        ...(text === undefined ? {} : { version: versionOf(text) })
      })
      showMode(context, status, options)
    })
}

function showMode(context: CliContext, status: ModelStatus, options: ConnectionOptions): void {
  if (options.json === true) printJson(context, { ok: true, status })
  else print(context, `mode ${status.mode}, ${servingOf(status)}`)
}

function versionOf(text: string): number {
  if (/^[1-9][0-9]{0,14}$/.test(text)) return Number(text)
  throw new UsageError(`version: got ${JSON.stringify(text)}, expected the number of a model`)
}

function servingOf({ serving, predictedBy }: ModelStatus): string {
  if (serving === undefined) return 'no model serves: statistics predict'
  const unused = predictedBy === 'statistics' ? ', but cannot be used: statistics predict' : ''
  return `model ${serving.version} serves${unused}`
}

function statusPairs(status: ModelStatus): (readonly [string, string | undefined])[] {
  const { trainer, predictions, shadow } = status
  const experts = Object.entries(status.experts).map(([name, weight]) => `${name} ${formatPercent(weight)}`)
  return [
    ['mode', status.mode],
    ['predicting', servingOf(status)],
    [
      'shadow',
      shadow === undefined ? undefined : `model ${shadow.version}, trained on ${shadow.trainedOn} attempts`
    ],
    ['trainer', trainer === undefined ? undefined : trainerText(trainer, status.leading)],
    ['trust', experts.length === 0 ? undefined : experts.join(', ')],
    ['judged', `${predictions.count} predictions`],
    [
      'error',
      predictions.maeLn === undefined ? undefined : `${predictions.maeLn.toFixed(3)} (mean |Δ ln run time|)`
    ],
    ['coverage', coverageText(predictions)],
    ['drifting', status.driftingClasses === 0 ? undefined : `${status.driftingClasses} classes`],
    ...status.alarms.map(({ message }): readonly [string, string] => ['alarm', message]),
    ['as seen by', `node ${status.node}${status.leading ? ', the leader' : ''}`]
  ]
}

function coverageText({ coverage90, coverage99 }: ModelStatus['predictions']): string | undefined {
  if (coverage90 === undefined) return undefined
  const p99 = coverage99 === undefined ? '' : `, p99 ${formatPercent(coverage99)}`
  return `p90 held ${formatPercent(coverage90)}${p99}`
}

function trainerText(
  { state, backend, cpuShare, rows, trainAfter = 0, steps, restarts }: NonNullable<ModelStatus['trainer']>,
  leading: boolean
): string {
  if (state === 'waiting' && !leading) return 'not on this node: only the leader trains'
  if (state === 'waiting' && rows < trainAfter)
    return `waiting for attempts to end: ${rows} of ${trainAfter} rows so far`
  const with_ = backend === undefined ? '' : ` with ${backend}`
  const again = restarts === 0 ? '' : `, failed ${restarts === 1 ? 'once' : `${restarts} times`}`
  return `${state}${with_}, ${formatPercent(cpuShare)} of a core, ${rows} rows, ${steps} steps${again}`
}

function historyRow(model: ModelView, now: number): string[] {
  return [
    String(model.version),
    model.state,
    String(model.trainedOn),
    formatAge(model.publishedAt, now),
    formatAge(model.changedAt, now),
    model.reason
  ]
}

function showCalibration(context: CliContext, calibration: ModelCalibration): void {
  if (calibration.count === 0) {
    print(context, 'nothing has been judged yet: no attempt that was predicted has ended')
    return
  }
  const levels = calibration.reliability.map(({ level, observed }) => [
    formatPercent(level),
    formatPercent(observed)
  ])
  for (const line of formatTable(['QUANTILE', 'HELD'], levels)) print(context, line)
  print(context, '')
  const tenants = calibration.tenants.map(({ tenant, count, coverage90, coverage99, spread99 }) => [
    tenant,
    String(count),
    formatPercent(coverage90),
    formatPercent(coverage99),
    spreadText(spread99)
  ])
  const headings = ['TENANT', 'JUDGED', 'P90 HELD', 'P99 HELD', 'P99 ÷ MEDIAN']
  for (const line of formatTable(headings, tenants)) print(context, line)
  print(context, '')
  const { count, maeLn, eta } = calibration
  const error = maeLn === undefined ? '' : `, mean |Δ ln run time| ${maeLn.toFixed(3)}`
  print(context, `the latest ${count} predictions${error}${etaText(eta)}`)
}

function etaText({ count, heldP50, heldP90 }: ModelCalibration['eta']): string {
  if (heldP50 === undefined || heldP90 === undefined) return ''
  return `; of ${count} forecast finishes ${formatPercent(heldP50)} came by the p50 and ${formatPercent(heldP90)} by the p90`
}

function spreadText(spread: number): string {
  return spread < 100 ? spread.toFixed(1) : spread.toFixed(0)
}
