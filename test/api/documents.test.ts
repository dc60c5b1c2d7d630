import { writeFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { errorsDocument, limitsDocument, readRepositoryFile } from '../helpers/documented.ts'

test.each([
  ['docs/errors.md', errorsDocument],
  ['docs/limits.md', limitsDocument]
])('%s lists exactly the table of the code', (path, document) => {
  if (process.env['UPDATE'] === '1') writeFileSync(new URL(`../../${path}`, import.meta.url), document())
  expect(readRepositoryFile(path)).toBe(document())
})

test('every limit says what it bounds', () => {
  expect(limitsDocument()).not.toMatch(/\| {2}\|$/m)
})
