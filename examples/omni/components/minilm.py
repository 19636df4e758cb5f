"""MiniLM: where a text lies among all texts."""

import torch
from tokenizers import Tokenizer
from transformers import AutoModel


class Embedder:
    """text -> a unit vector of 384 numbers; texts that mean the same lie close together."""

    def load(self, context):
        self.threads = context.settings["threads"]
        self.tokenizer = Tokenizer.from_file(str(context.file("weights") / "tokenizer.json"))
        self.tokenizer.enable_padding()
        self.tokenizer.enable_truncation(256)
        self.model = AutoModel.from_pretrained(context.file("weights"), dtype=torch.float32).eval()

    def __call__(self, items):
        torch.set_num_threads(self.threads)
        vectors = self.embed([item["text"][0].decode() for item in items])
        return [{"embedding": vector} for vector in vectors.numpy()]

    @torch.inference_mode()
    def embed(self, texts: list[str]) -> torch.Tensor:
        """The mean of the tokens' states, texts x 384, normalised."""
        encoded = self.tokenizer.encode_batch(texts)
        ids = torch.tensor([encoding.ids for encoding in encoded])
        mask = torch.tensor([encoding.attention_mask for encoding in encoded])
        states = self.model(ids, attention_mask=mask).last_hidden_state
        return torch.nn.functional.normalize((states * mask[..., None]).sum(1), dim=-1)
