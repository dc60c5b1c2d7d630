import { defineTask, TerminalError } from '../../../client/task.ts'
import { work, type WorkInput } from '../work.ts'

/** An attempt of the demonstration as a js handler. */
export default defineTask<WorkInput, { readonly token: number }>({
  name: 'failover.attempt',
  run: async (input, { taskId: task, fencingToken: token, signal }) => {
    await work(input, { task, token }, signal)
    if (input.fails) throw new TerminalError('this task is meant to fail', { code: 'MEANT_TO_FAIL' })
    return { token }
  }
})
