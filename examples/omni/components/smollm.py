"""SmolLM2-135M-Instruct: answers a prompt, given the texts that were read in images, token by token."""

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from components.decoding import greedy


class Chat:
    """prompt, context -> text in chunks; the same request always gives the same answer."""

    def load(self, context):
        self.threads = context.settings["threads"]
        self.max_new_tokens = context.settings["max_new_tokens"]
        self.tokenizer = Tokenizer.from_file(str(context.file("weights") / "tokenizer.json"))
        self.stop = self.tokenizer.token_to_id("<|im_end|>")
        self.model = AutoModelForCausalLM.from_pretrained(context.file("weights"), dtype=torch.float32).eval()

    def stream(self, item):
        torch.set_num_threads(self.threads)
        seen = [text[0].decode() for text in item.get("context", [])]
        prompt = self.tokenizer.encode(chat_prompt(item["prompt"][0].decode(), seen)).ids
        tokens: list[int] = []
        sent = ""
        for token in greedy(self._step, prompt, self.stop, self.max_new_tokens):
            if item.cancelled():
                return
            tokens.append(token)
            text = self.tokenizer.decode(tokens)
            if not text.endswith("\N{REPLACEMENT CHARACTER}"):  # a character may take several tokens
                yield {"text": text[len(sent) :]}
                sent = text

    def _step(self, ids, cache):
        out = self.model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.logits[0, -1], out.past_key_values


def chat_prompt(question: str, seen: list[str]) -> str:
    """The ChatML that the model was trained on; what was seen comes before the question."""
    if seen:
        context = "\n".join(seen)
        question = f"Context: {context}\n\nQuestion: {question}"
    return f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
