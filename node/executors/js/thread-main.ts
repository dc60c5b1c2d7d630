/** One thread of a pool process that runs trusted handlers. */
import { parentPort } from 'node:worker_threads'
import type { FromPool, ToPool } from './protocol.ts'
import { createRunner } from './runner.ts'

const port = parentPort
if (port !== null) {
  const send = (message: FromPool): void => {
    port.postMessage(message)
  }
  // Processes that a thread's handlers start belong to the whole pool process and end with it.
  const runner = createRunner(send, { takeLeft: () => false })
  port.on('message', (message: ToPool) => {
    if (message.type === 'run') runner.run(message.attempt, message.notAfter)
    else if (message.type === 'abort') runner.abort(message.token, message.reason)
    else if (message.type === 'handlers') runner.setHandlers(message.handlers)
  })
}
