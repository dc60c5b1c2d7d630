/**
 * `npm run conformance -- DIR [--normalise]`: runs every script below DIR/interaction, DIR/quorum and DIR/confchange.
 * Prints a line per file, the diff of each that differs, and `N passed, N failed` last. Exits 0 when all passed, 1 on any
 * difference, 2 when DIR cannot be read.
 */
import { findScripts, runFile } from './runner.ts'

const USAGE = 'usage: npm run conformance -- DIR [--normalise]'

process.exitCode = main(process.argv.slice(2))

function main(args: readonly string[]): number {
  if (args.includes('--help') || args.includes('-h')) {
    console.log(USAGE)
    return 0
  }
  const normalise = args.includes('--normalise')
  const [root, ...others] = args.filter((arg) => arg !== '--normalise')
  if (root === undefined || others.length > 0 || root.startsWith('-')) {
    console.error(USAGE)
    return 2
  }
  let scripts: readonly string[]
  try {
    scripts = findScripts(root)
  } catch (error) {
    console.error(`cannot read scripts: ${error instanceof Error ? error.message : String(error)}`)
    return 2
  }
  let failed = 0
  for (const path of scripts) {
    const result = runFile(path, { normalise })
    console.log(`${result.passed ? 'pass' : 'FAIL'} ${result.name} (${result.directives} directives)`)
    if (result.passed) continue
    failed++
    console.log(result.diff)
  }
  console.log(`${scripts.length - failed} passed, ${failed} failed`)
  return failed === 0 ? 0 : 1
}
