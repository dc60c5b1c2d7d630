/** The optimizer thread's entry point. */
import { parentPort, receiveMessageOnPort } from 'node:worker_threads'
import type { ToThread } from './protocol.ts'
import { createThreadProgram } from './thread-program.ts'

const port = parentPort
if (port !== null) {
  const take = createThreadProgram(
    (message) => {
      port.postMessage(message)
    },
    () => (receiveMessageOnPort(port) as { readonly message: ToThread } | undefined)?.message
  )
  port.on('message', (message: ToThread) => {
    take(message)
  })
}
