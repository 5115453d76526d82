import { Alert, Button, Text } from "@mantine/core";
import { ApiError, sentence } from "../api/client.ts";

/** Where an expression is wrong: line and column from 1, in characters. */
export interface ExpressionFault {
  line: number;
  column: number;
  message: string;
}

interface ExpressionProblemProps {
  /** The expression that the fault was found in. */
  expression: string;
  fault: ExpressionFault;
  /** Takes the gateway's suggestion; left out: it is only told. */
  onUse?: (expression: string) => void;
}

/** What is wrong with an expression: the line, a mark below the place, and the way to mend it. */
export function ExpressionProblem({ expression, fault, onUse }: ExpressionProblemProps) {
  const { line, column, message } = fault;
  const text = expression.split("\n")[line - 1];
  const mended = suggestion(expression, fault);
  return (
    <Alert color="red" variant="light" title="The expression does not work" role="alert">
      <Text>
        Line {line}, column {column}: {sentence(message)}
      </Text>
      {text !== undefined && text.trim() !== "" && (
        <pre className="fault" aria-hidden="true">
          {text.replaceAll("\t", " ")}
          {"\n"}
          {" ".repeat(Math.max(0, Math.min(column, text.length + 1) - 1))}^
        </pre>
      )}
      {mended && onUse && (
        <Button size="compact-sm" variant="default" mt={6} onClick={() => onUse(mended.expression)}>
          Use “{mended.word}”
        </Button>
      )}
    </Alert>
  );
}

/** The place in an expression that the gateway refused a form for: "expression[1:29]". */
export function faultIn(error: unknown, field: string): ExpressionFault | undefined {
  if (!(error instanceof ApiError)) return undefined;
  for (const { field: at, message } of error.fields) {
    const [, name, line, column] = /^(.*)\[(\d+):(\d+)\]$/.exec(at) ?? [];
    if (name === field) return { line: Number(line), column: Number(column), message };
  }
  return undefined;
}

/**
 * The expression with the misspelt name put right, where the message names both: as in
 * `inventory has no section "disk"; did you mean "disks"?`. Null where it does not, or
 * where the name is not found at the place it speaks of.
 */
export function suggestion(
  expression: string,
  { line, column, message }: ExpressionFault,
): { word: string; expression: string } | null {
  const [, wrong, word] = /"([^"\n]+)"; did you mean "([^"\n]+)"\?/.exec(message) ?? [];
  if (!wrong || !word) return null;
  const lines = expression.split("\n");
  const text = lines[line - 1] ?? "";
  // The place is that of the name or of the dot before it.
  const at = text.indexOf(wrong, Math.max(0, column - 1));
  if (at < 0) return null;
  lines[line - 1] = text.slice(0, at) + word + text.slice(at + wrong.length);
  return { word, expression: lines.join("\n") };
}
