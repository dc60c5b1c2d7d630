import { defineTask } from '../../../client/task.ts'
import { merge, type Findings } from '../audit.ts'

/** Adds up what the shards found. */
export default defineTask<unknown, Findings>({
  name: 'licence-audit.report',
  run: (_input, context) => merge(Object.values(context.needs) as Findings[])
})
