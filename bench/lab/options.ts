/** The policy lab's command line. Every mistake is an `INVALID_REQUEST` that names the option, what it got and expected. */
import {
  loadOption,
  numberOption,
  policiesOption,
  seedsOption,
  wholeOption,
  wrongOption
} from '../../node/cli/lab/option-values.ts'
import { parseOptions } from './parse-options.ts'

/** Beyond these, making the instances alone takes longer or more memory than anybody has. */
const MOST_NODES = 100_000
const MOST_JOBS = 1_000_000

export interface LabOptions {
  readonly trace: string
  readonly load: number | undefined
  readonly policies: readonly string[] | undefined
  readonly seeds: number | undefined
  readonly limit: number | undefined
  readonly windows: number | undefined
  readonly nodes: number | undefined
  readonly jobs: number | undefined
  readonly gapS: number | undefined
  readonly noise: string | undefined
  readonly json: boolean
  readonly html: string | undefined
  readonly svg: string | undefined
  readonly tasks: string | undefined
  readonly list: boolean
  readonly help: boolean
}

export const HELP = `Runs scheduling policies on a trace in the simulator and compares them.

npm run bench -- policies --trace PATH [options]

  --trace PATH     .swf, .jsonl (WfInstances, TPC-H), openb_pods.csv, .ndjson (dtss lab --save), all also .gz,
                   or "synthetic"
  --load X         target load in (0, 2]; sets capacity (TPC-H, synthetic: the arrival rate)
  --policies A,B   names from --list (default: those that suit the trace)
  --seeds K        repetitions with other luck (default: by trace)
  --limit N        only the first N jobs, workflows or tasks
  --windows N      SWF: N parts of the log (of --limit jobs each; default: half of each is in the next), each a run
  --nodes K        nodes of the cluster: workflows (default 8), TPC-H executors (50), synthetic (16)
  --jobs N         TPC-H: jobs that arrive (default 200)
  --gap S          TPC-H: mean seconds between arrivals (default 25)
  --noise FILE     synthetic: quantiles of machine speeds (vm-noise.json)
  --json           print one JSON object last
  --html FILE      write a report with plots as one self-contained file
  --svg DIR        write the plots as SVG files
  --tasks FILE     write one line of JSON for each task or job that finished in each run
  --list           list the policies
  --help           this text
`

const OPTIONS = {
  trace: { type: 'string' },
  load: { type: 'string' },
  policies: { type: 'string' },
  seeds: { type: 'string' },
  limit: { type: 'string' },
  windows: { type: 'string' },
  nodes: { type: 'string' },
  jobs: { type: 'string' },
  gap: { type: 'string' },
  noise: { type: 'string' },
  json: { type: 'boolean' },
  html: { type: 'string' },
  svg: { type: 'string' },
  tasks: { type: 'string' },
  list: { type: 'boolean' },
  help: { type: 'boolean' }
} as const

/** Parses the arguments after `policies`. */
export function parseLabOptions(argv: readonly string[]): LabOptions {
  const values = parseOptions(argv, OPTIONS)
  const whole = (option: 'limit' | 'windows' | 'nodes' | 'jobs', most?: number): number | undefined =>
    wholeOption(option, values[option], 1, most)
  const idle = values.list === true || values.help === true
  if (values.trace === undefined && !idle) throw wrongOption('trace', undefined, 'a path or "synthetic"')
  return {
    trace: values.trace ?? '',
    load: loadOption(values.load),
    policies: policiesOption(values.policies),
    seeds: seedsOption(values.seeds),
    limit: whole('limit'),
    windows: whole('windows'),
    nodes: whole('nodes', MOST_NODES),
    jobs: whole('jobs', MOST_JOBS),
    gapS: numberOption('gap', values.gap, 'seconds > 0', (seconds) => seconds > 0),
    noise: values.noise,
    json: values.json ?? false,
    html: values.html,
    svg: values.svg,
    tasks: values.tasks,
    list: values.list ?? false,
    help: values.help ?? false
  }
}
