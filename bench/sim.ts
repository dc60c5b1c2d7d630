/**
 * `npm run sim`: whole nodes under simulated faults, one seed or a range of them. Prints one JSON object last; exits 1
 * on any violation.
 */
import { Command, InvalidArgumentError } from 'commander'
import { runScenario, type ScenarioOptions, type ScenarioReport } from '../sim/scenario.ts'

interface Options {
  readonly seed?: number
  readonly seeds?: SeedRange
  readonly nodes: number
  readonly faultMs: number
  readonly tasks: number
  readonly json?: boolean
  readonly log?: boolean
}

interface SeedRange {
  readonly first: number
  readonly last: number
}

type TimedReport = ScenarioReport & { readonly wallSeconds: number }

/** Resolves to the exit code: 0, 1 when a checker found something, 2 for bad options. */
export async function run(argv: string[]): Promise<number> {
  const command = commandLine()
  try {
    command.parse(argv, { from: 'user' })
  } catch (error) {
    // Commander has said what is wrong, or printed its help.
    return error instanceof Error && 'exitCode' in error && error.exitCode === 0 ? 0 : 2
  }
  const options = command.opts<Options>()
  return options.seeds === undefined
    ? await runOne(options.seed ?? 1, options)
    : await runMany(options.seeds, options)
}

function commandLine(): Command {
  return new Command('sim')
    .description('Whole nodes under simulated faults; a seed replays exactly.')
    .option('--seed <n>', 'the seed to run (default: 1)', parseSeed)
    .option('--seeds <a..b>', 'a range of seeds, both included', parseRange)
    .option('--nodes <n>', 'nodes at the start; from 5 on, nodes join and leave', parseNodes, 3)
    .option('--fault-ms <n>', 'virtual milliseconds under faults', parseCount, 20_000)
    .option('--tasks <n>', 'tasks to submit', parseCount, 60)
    .option('--json', 'no lines of progress, the JSON object alone')
    .option('--log', "every node's log lines, on standard error")
    .exitOverride()
}

async function runOne(seed: number, options: Options): Promise<number> {
  const report = await runSeed(seed, options)
  if (options.json !== true) console.log(line(report))
  console.log(JSON.stringify(report))
  return report.ok ? 0 : 1
}

async function runMany({ first, last }: SeedRange, options: Options): Promise<number> {
  const startedAt = performance.now()
  const failed: TimedReport[] = []
  let simulatedSeconds = 0
  let acknowledged = 0
  let faults = 0
  let copies = 0
  let superseded = 0
  for (let seed = first; seed <= last; seed++) {
    const report = await runSeed(seed, options)
    if (options.json !== true) console.log(line(report))
    if (!report.ok) failed.push(report)
    simulatedSeconds += report.simulatedSeconds
    acknowledged += report.acknowledged
    faults += countFaults(report)
    copies += report.copies
    superseded += report.superseded
  }
  const wallSeconds = secondsSince(startedAt)
  const summary = {
    ok: failed.length === 0,
    seeds: { first, last },
    failed: failed.map(({ seed, violations }) => ({ seed, violations, replay: replay(seed, options) })),
    simulatedSeconds: Math.round(simulatedSeconds),
    wallSeconds,
    speed: Math.round(simulatedSeconds / wallSeconds),
    acknowledged,
    faults,
    copies,
    superseded
  }
  console.log(JSON.stringify(summary))
  return summary.ok ? 0 : 1
}

async function runSeed(seed: number, { nodes, faultMs, tasks, log }: Options): Promise<TimedReport> {
  const startedAt = performance.now()
  const options: ScenarioOptions = { seed, nodes, faultMs, tasks }
  const report = await runScenario(
    log === true ? { ...options, onLog: (text) => process.stderr.write(`${text}\n`) } : options
  )
  return { ...report, wallSeconds: secondsSince(startedAt) }
}

function line(report: TimedReport): string {
  const { seed, ok, traceHash, simulatedSeconds, wallSeconds, acknowledged, violations } = report
  const figures = `${traceHash}  ${simulatedSeconds} s in ${wallSeconds} s  ${countFaults(report)} faults  ${acknowledged} tasks`
  return [`seed ${seed}  ${ok ? 'ok' : 'FAILED'}  ${figures}`, ...violations].join('\n  ')
}

function countFaults({ faults }: ScenarioReport): number {
  return Object.values(faults).reduce((sum, count) => sum + count, 0)
}

function replay(seed: number, { nodes, faultMs, tasks }: Options): string {
  return `npm run sim -- --seed ${seed} --nodes ${nodes} --fault-ms ${faultMs} --tasks ${tasks} --log`
}

function secondsSince(startedAt: number): number {
  return Math.round(performance.now() - startedAt) / 1_000
}

function parseSeed(text: string): number {
  const seed = Number(text)
  if (!/^\d+$/.test(text) || seed > 0xffff_ffff) throw new InvalidArgumentError('expected 0 to 4294967295')
  return seed
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!/^\d+$/.test(text) || count > 100_000_000) throw new InvalidArgumentError('expected a whole number')
  return count
}

function parseNodes(text: string): number {
  const nodes = Number(text)
  if (!/^\d$/.test(text) || nodes < 1 || nodes > 7) throw new InvalidArgumentError('expected 1 to 7')
  return nodes
}

function parseRange(text: string): SeedRange {
  const [first, last, ...rest] = text.split('..').map(parseSeed)
  if (first === undefined || last === undefined || rest.length > 0 || last < first) {
    throw new InvalidArgumentError('expected FIRST..LAST, as 1..100')
  }
  return { first, last }
}
