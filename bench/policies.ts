/**
 * `npm run bench -- policies`: the policy lab's command. Reads files and prints; the rules are in `optimizer/lab/`, the runs
 * and the report in `node/cli/lab/`.
 */
import { AppError } from '../base/errors.ts'
import { labPolicies } from '../node/cli/lab/policies.ts'
import { calibratePredictors } from '../node/cli/lab/predictors.ts'
import { runLab } from '../node/cli/lab/run-lab.ts'
import { loadTrace } from './lab/load-trace.ts'
import { HELP, parseLabOptions } from './lab/options.ts'
import type { LabOptions } from './lab/options.ts'

const MISUSE = 2

/** Runs the lab. Resolves to the exit code: 0, or 2 for a bad option or trace. */
export async function run(argv: string[]): Promise<number> {
  try {
    return await measure(parseLabOptions(argv))
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    console.error(error.message)
    return MISUSE
  }
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
  const json = await runLab(loadTrace(options.trace, options), options, {
    among,
    calibrate: calibratePredictors,
    print: (text) => {
      console.log(text)
    },
    note: (line) => {
      console.error(line)
    },
    isTerminal: process.stderr.isTTY
  })
  if (options.json) console.log(JSON.stringify(json))
  return 0
}
