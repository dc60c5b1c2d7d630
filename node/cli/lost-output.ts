/** What becomes of a command whose standard output cannot be written. */
import { EXIT } from './context.ts'

/**
 * Ends the process when standard output fails: with 0 when its reader has seen enough (`dtss list | head`), which is no error of ours, else
 * with 1, since what was asked for is lost.
 */
export function endOnLostOutput(program: string): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok)
    process.stderr.write(`${program}: standard output: ${error.message}\n`)
    process.exit(EXIT.failed)
  })
}
