/**
 * `npm run bench -- policies`: the policy lab's command. Reads files and prints; the rules are in `optimizer/lab/`, the runs
 * and the report in `node/cli/lab/`.
 */
import { labPolicies } from '../node/cli/lab/policies.ts'
import { checkOutputs } from '../node/cli/lab/outputs.ts'
import { calibratePredictors } from '../node/cli/lab/predictors.ts'
import { runLab } from '../node/cli/lab/run-lab.ts'
import { loadTrace } from './lab/load-trace.ts'
import { HELP, parseLabOptions } from './lab/options.ts'
import type { LabOptions } from './lab/options.ts'
import { reportMisuse } from './report-misuse.ts'

/** Runs the lab. Resolves to the exit code: 0, or 2 for a bad option or trace. */
export async function run(argv: string[]): Promise<number> {
  try {
    return await measure(parseLabOptions(argv))
  } catch (error) {
    return reportMisuse(error, argv)
  }
}

/** What a report says was asked for. */
function askedOf(options: LabOptions): Record<string, unknown> {
  const { trace, policies, load, seeds, limit, windows, nodes, jobs, gapS, noise } = options
  const asked = { trace, policies, load, seeds, limit, windows, nodes, jobs, gap: gapS, noise }
  return Object.fromEntries(Object.entries(asked).map(([option, value]) => [option, value ?? null]))
}

/** Everything but errors. */
async function measure(options: LabOptions): Promise<number> {
  if (options.help) {
    console.log(HELP)
    return 0
  }
  const among = await labPolicies(options.policies)
  if (options.list) {
    for (const { name, about } of among) console.log(`${name.padEnd(22)} ${about}`)
    return 0
  }
  checkOutputs(options)
  const { trace, sha256 } = loadTrace(options.trace, options)
  await runLab(
    trace,
    { ...options, asked: askedOf(options), traceSha256: sha256 },
    {
      among,
      calibrate: calibratePredictors,
      print: (text) => {
        console.log(text)
      },
      printJson: options.json
        ? (report) => {
            console.log(JSON.stringify(report))
          }
        : undefined,
      note: (line) => {
        console.error(line)
      },
      isTerminal: process.stderr.isTTY
    }
  )
  return 0
}
