/** Asks one question at a time; of those that come meanwhile only the last is asked. */
export class Latest<Question, Answer> {
  private next: Question | undefined;
  /** Of the run of questions that is going on; 0 for none. */
  private run = 0;
  private runs = 0;

  constructor(
    private readonly ask: (question: Question) => Promise<Answer>,
    private readonly show: (answer: Answer, question: Question) => void,
    private readonly failed: (error: Error) => void,
  ) {}

  /** Asks now, or when the answer that is waited for has come. */
  async want(question: Question): Promise<void> {
    this.next = question;
    if (this.run !== 0) {
      return;
    }
    const run = ++this.runs;
    this.run = run;
    while (this.next !== undefined) {
      const asked: Question = this.next;
      this.next = undefined;
      try {
        const answer = await this.ask(asked);
        if (this.run !== run) {
          return; // of a worker that is gone
        }
        this.show(answer, asked);
      } catch (error) {
        this.failed(error as Error);
      }
    }
    this.run = 0;
  }

  /** Waits for no answer any more. */
  forget(): void {
    this.run = 0;
    this.next = undefined;
  }
}
