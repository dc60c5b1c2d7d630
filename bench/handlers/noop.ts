import { defineTask } from '../../client/task.ts'

/** Does nothing, so that what is measured is the system around it. */
export default defineTask({ name: 'noop', run: () => null })
