/** An attempt of the demonstration as a program: what a shell command of a user would be. */
import { work, type WorkInput } from './work.ts'

const { DTSS_INPUT, DTSS_TASK_ID, DTSS_FENCING_TOKEN } = process.env
const input = JSON.parse(DTSS_INPUT ?? '') as WorkInput
const token = Number(DTSS_FENCING_TOKEN)
await work(input, { task: DTSS_TASK_ID ?? '', token })
if (input.fails) process.exitCode = 3
else console.log(JSON.stringify({ token }))
