/** The optimizer thread's entry point. */
import { parentPort } from 'node:worker_threads'
import type { ToThread } from './protocol.ts'
import { createThreadProgram } from './thread-program.ts'

const port = parentPort
if (port !== null) {
  const take = createThreadProgram((message) => {
    port.postMessage(message)
  })
  port.on('message', (message: ToThread) => {
    take(message)
  })
}
